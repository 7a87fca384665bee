//! Markdown by its lines: headings, code blocks, and paragraphs of prose.
//!
//! As much of CommonMark as it takes to tell prose from the rest. Source: CommonMark 0.31.2, sections 4 and 5.

/// Lines of prose that stand together.
#[derive(Debug, PartialEq, Eq)]
pub struct Paragraph {
    /// Its first line, counted from zero.
    pub line: usize,
    /// Its lines, without the blanks around each.
    pub text: String,
}

/// What a line says about the paragraph that is open.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    /// It belongs to it, or opens one.
    Text,
    /// Blank, a heading, code, or a link definition: nothing is open behind it.
    Ends,
    /// It makes a heading of the lines above.
    Underline,
    /// It makes a table of the line above, and of those below.
    TableHead,
    /// It begins a list item, a quote, a table or HTML, to which the lines below belong as well.
    NoProse,
}

/// The paragraphs of prose of a Markdown text.
///
/// Not prose are headings, code blocks, tables, quotes, list items, HTML and link definitions, nor is what begins with
/// two blanks or more: code, or a further paragraph of a list item.
pub fn paragraphs(markdown: &str) -> Vec<Paragraph> {
    let mut found = Vec::new();
    let mut open: Option<Paragraph> = None;
    let mut in_prose = true;
    let mut code = CodeBlock::default();
    for (line, text) in markdown.lines().enumerate() {
        let is_code = code.takes(text);
        let kind = if is_code { Line::Ends } else { kind(text, open.is_none() && in_prose) };
        match kind {
            Line::Text if in_prose => append(&mut open, line, text.trim()),
            Line::Text => {}
            Line::Ends | Line::NoProse => found.extend(open.take()),
            Line::Underline | Line::TableHead => open = None,
        }
        in_prose = match kind {
            Line::Text => in_prose,
            Line::Ends | Line::Underline => true,
            Line::TableHead | Line::NoProse => false,
        };
    }
    found.extend(open);
    found
}

fn append(open: &mut Option<Paragraph>, line: usize, text: &str) {
    match open {
        Some(paragraph) => {
            paragraph.text.push('\n');
            paragraph.text.push_str(text);
        }
        None => *open = Some(Paragraph { line, text: text.to_owned() }),
    }
}

/// What `line`, which is not of a code block, is; `first` where it would open a paragraph.
fn kind(line: &str, first: bool) -> Line {
    let text = line.trim();
    let only = |marks: &str| text.chars().all(|mark| marks.contains(mark));
    if text.is_empty() || heading(line).is_some() || is_link_definition(line) {
        Line::Ends
    } else if only("=") || only("-") {
        Line::Underline
    } else if only("-|: ") && text.contains('|') {
        Line::TableHead
    } else if text.starts_with(['>', '|', '<'])
        || is_list_item(text)
        || (first && is_indented(line))
    {
        Line::NoProse
    } else {
        Line::Text
    }
}

/// Whether a list item begins here: `-`, `*`, `+` or a number with `.` or `)`, and a blank.
fn is_list_item(text: &str) -> bool {
    let marker = text.split_whitespace().next().unwrap_or_default();
    let number = marker.strip_suffix(['.', ')']).unwrap_or_default();
    matches!(marker, "-" | "*" | "+")
        || (!number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

fn is_indented(line: &str) -> bool {
    line.starts_with('\t') || line.starts_with("  ")
}

/// The title of an ATX heading, which one to six `#` and a space open.
pub fn heading(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let title = line.trim_start_matches('#');
    ((1..=6).contains(&(line.len() - title.len())) && title.starts_with(' ')).then_some(title)
}

/// A line such as ``[`Error`]: crate::Error``.
pub fn is_link_definition(line: &str) -> bool {
    line.trim_start().starts_with('[') && line.contains("]:")
}

/// The fenced code block that is open, if one is.
#[derive(Default)]
pub struct CodeBlock<'a> {
    fence: Option<&'a str>,
}

impl<'a> CodeBlock<'a> {
    /// Reads the next line; whether it belongs to a code block, as its fences do.
    pub fn takes(&mut self, line: &'a str) -> bool {
        let before = self.fence;
        if let Some(mark) = fence_mark(line) {
            self.fence = match before {
                None => Some(mark),
                Some(open) if mark.starts_with(open) && line.trim() == mark => None,
                open => open,
            };
        }
        before.is_some() || self.fence.is_some()
    }
}

/// The run of backticks or tildes that opens or closes a code block.
fn fence_mark(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let mark = line.chars().next().filter(|mark| matches!(mark, '`' | '~'))?;
    let mark = &line[..line.len() - line.trim_start_matches(mark).len()];
    // Backticks behind the run make it code within a line: ```` ```a``` ````.
    (mark.len() >= 3 && !line[mark.len()..].contains('`')).then_some(mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(markdown: &str, expected: &[(usize, &str)]) {
        let found = paragraphs(markdown);
        let found: Vec<_> = found.iter().map(|found| (found.line, found.text.as_str())).collect();
        assert_eq!(found, expected, "{markdown:?}");
    }

    #[test]
    fn blank_lines_headings_and_code_end_a_paragraph() {
        check("", &[]);
        check("a\n b \n\nc", &[(0, "a\nb"), (3, "c")]);
        check("a\n# Title\nb", &[(0, "a"), (2, "b")]);
        check("a\n```rust\nx\n\ny\n```\nb", &[(0, "a"), (6, "b")]);
        check("a\n[b]: c\nd", &[(0, "a"), (2, "d")]);
        check("```\na", &[]);
    }

    #[test]
    fn an_underlined_line_is_a_heading() {
        check("Title\n=====\na\n\nOther\n---\nb", &[(2, "a"), (6, "b")]);
        check("a\n\n---\n\nb", &[(0, "a"), (4, "b")]);
    }

    #[test]
    fn lists_quotes_tables_and_html_are_no_prose_to_their_end() {
        for begins in ["- a", "* a", "+ a", "1. a", "12) a", "> a", "| a |", "<p>a", "<!-- a -->"] {
            check(&format!("{begins}\nlazy\n\nb"), &[(3, "b")]);
            check(&format!("b\n{begins}\nlazy"), &[(0, "b")]);
        }
        check("a | b\n--|:-:\nc | d\n\ne", &[(4, "e")]);
        check("**a** b\n-1 c\n1.5 d", &[(0, "**a** b\n-1 c\n1.5 d")]);
    }

    #[test]
    fn what_begins_indented_is_code_or_of_a_list() {
        check("- a\n\n  b\n  c\n\nd", &[(5, "d")]);
        check("    code\n\n\tcode\n\n a", &[(4, "a")]);
        check("a\n    b", &[(0, "a\nb")]);
    }
}
