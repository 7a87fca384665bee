//! Doc comments of Rust source files, as the Markdown that rustdoc would read.

/// One doc comment: all neighbouring lines and blocks that document the same thing.
#[derive(Debug, PartialEq, Eq)]
pub struct DocComment {
    /// Line of the file where it starts, counted from one. Line `i` of `text` is line `line + i` there.
    pub line: usize,
    /// Markdown, without comment marks and common indentation.
    pub text: String,
}

/// What a doc comment documents: the item after it, or the one around it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Outer,
    Inner,
}

/// As much of Rust's tokens as it takes to tell a comment from a string that looks like one.
enum Token<'a> {
    /// `/// body` or `//! body`.
    LineDoc(Style, &'a str),
    /// `/** body */` or `/*! body */`.
    BlockDoc(Style, &'a str),
    Space,
    Other,
}

/// The doc comments of a source file, in order. `#[doc]` attributes are not read.
///
/// Source that is cut or is not Rust gives what can be told apart; nothing fails.
///
/// Source: The Rust Reference, "Comments" and "Tokens".
pub fn doc_comments(source: &str) -> Vec<DocComment> {
    let mut comments = Vec::new();
    let mut run: Option<Run> = None;
    let (mut rest, mut line) = (source, 1);
    while !rest.is_empty() {
        let (token, bytes) = token(rest);
        let (style, lines) = match token {
            Token::LineDoc(style, body) => (Some(style), vec![body.trim_end()]),
            Token::BlockDoc(style, body) => (Some(style), block_lines(body)),
            Token::Space => (run.as_ref().map(|run| run.style), Vec::new()),
            Token::Other => (None, Vec::new()),
        };
        if run.as_ref().map(|run| run.style) != style {
            comments.extend(run.take().and_then(Run::finish));
        }
        if let Some(style) = style {
            run.get_or_insert_with(|| Run { style, line, lines: Vec::new() }).push(line, lines);
        }
        line += rest[..bytes].matches('\n').count();
        rest = &rest[bytes..];
    }
    comments.extend(run.and_then(Run::finish));
    comments
}

/// A doc comment that is being read.
struct Run<'a> {
    style: Style,
    line: usize,
    lines: Vec<&'a str>,
}

impl<'a> Run<'a> {
    /// Appends `lines`, which start at line `at` of the file.
    fn push(&mut self, at: usize, lines: Vec<&'a str>) {
        if !lines.is_empty() {
            self.lines.resize((at - self.line).max(self.lines.len()), "");
            self.lines.extend(lines);
        }
    }

    /// The comment, unless it is blank.
    fn finish(self) -> Option<DocComment> {
        let text = unindent(&self.lines).join("\n");
        let text = text.trim_end();
        (!text.is_empty()).then(|| DocComment { line: self.line, text: text.to_owned() })
    }
}

/// Takes away the spaces that all lines which are not blank begin with.
fn unindent<'a>(lines: &[&'a str]) -> Vec<&'a str> {
    let indent = |line: &&str| line.len() - line.trim_start_matches(' ').len();
    let common = lines.iter().filter(|line| !line.trim().is_empty()).map(indent).min().unwrap_or(0);
    lines.iter().map(|line| line.get(common..).unwrap_or("")).collect()
}

/// The lines of a block comment, without the column of stars that many begin with.
fn block_lines(body: &str) -> Vec<&str> {
    let lines: Vec<_> = body.lines().map(str::trim_end).collect();
    let starred = |line: &&str| line.is_empty() || line.trim_start().starts_with('*');
    let rest = lines.get(1..).unwrap_or_default();
    let stars = rest.iter().all(starred);
    let rest = rest.iter().map(|line| match line.trim_start().strip_prefix('*') {
        Some(line) if stars => line,
        _ => *line,
    });
    // The first line starts behind the comment mark: its indentation says nothing about the others'.
    let rest = unindent(&rest.collect::<Vec<_>>());
    lines.first().map(|first| first.trim_start()).into_iter().chain(rest).collect()
}

/// The first token of `rest`, which is not empty, and its length in bytes.
fn token(rest: &str) -> (Token<'_>, usize) {
    let first = rest.chars().next().map_or(' ', |first| first);
    match first {
        '/' if rest.starts_with("//") => line_comment(rest),
        '/' if rest.starts_with("/*") => block_comment(rest),
        '"' => (Token::Other, string_bytes(rest)),
        '\'' => (Token::Other, quote_bytes(rest)),
        _ if first.is_whitespace() => (Token::Space, first.len_utf8()),
        _ if is_word(first) => (Token::Other, word_bytes(rest)),
        _ => (Token::Other, first.len_utf8()),
    }
}

/// `// …` up to the end of the line; four slashes make a plain comment.
fn line_comment(rest: &str) -> (Token<'_>, usize) {
    let bytes = rest.find('\n').unwrap_or(rest.len());
    let token = match &rest[..bytes] {
        line if line.starts_with("////") => Token::Other,
        line if line.starts_with("///") => Token::LineDoc(Style::Outer, &line[3..]),
        line if line.starts_with("//!") => Token::LineDoc(Style::Inner, &line[3..]),
        _ => Token::Other,
    };
    (token, bytes)
}

/// `/* … */` with the comments inside it; `/**/` and three stars make a plain comment.
fn block_comment(rest: &str) -> (Token<'_>, usize) {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        match rest.as_bytes().get(at..at + 2) {
            Some(b"/*") => (depth, at) = (depth + 1, at + 2),
            Some(b"*/") => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    let body = if depth == 0 { rest.get(3..at - 2) } else { None };
    let token = match body {
        Some(body) if rest.starts_with("/*!") => Token::BlockDoc(Style::Inner, body),
        Some(body) if rest.starts_with("/**") && !body.starts_with('*') => {
            Token::BlockDoc(Style::Outer, body)
        }
        _ => Token::Other,
    };
    (token, at)
}

/// Length of the string literal that `rest` starts with.
fn string_bytes(rest: &str) -> usize {
    let mut escaped = false;
    let end = rest[1..].bytes().position(|byte| {
        let closes = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closes
    });
    end.map_or(rest.len(), |end| end + 2)
}

/// Length of the character literal that `rest` starts with, or of the quote alone before a lifetime.
fn quote_bytes(rest: &str) -> usize {
    let mut inside = rest[1..].chars();
    let first = inside.next();
    match first {
        Some('\\') => {
            let escape = inside.next().map_or(0, char::len_utf8);
            let start = 2 + escape;
            rest[start..].find('\'').map_or(rest.len(), |end| start + end + 1)
        }
        Some(first) if inside.next() == Some('\'') => 2 + first.len_utf8(),
        _ => 1,
    }
}

/// Length of the name or number that `rest` starts with, or of the raw string that it opens.
fn word_bytes(rest: &str) -> usize {
    let word = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
    let hashes = rest[word..].bytes().take_while(|&byte| byte == b'#').count();
    let open = word + hashes;
    if matches!(&rest[..word], "r" | "br" | "cr") && rest[open..].starts_with('"') {
        let close = format!("\"{}", "#".repeat(hashes));
        let body = &rest[open + 1..];
        return body.find(&close).map_or(rest.len(), |end| open + 1 + end + close.len());
    }
    word
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(source: &str, expected: &[(usize, &str)]) {
        let comments = doc_comments(source);
        let found: Vec<_> = comments.iter().map(|doc| (doc.line, doc.text.as_str())).collect();
        assert_eq!(found, expected, "{source:?}");
    }

    #[test]
    fn line_comments_are_joined_by_item() {
        check("/// One\n/// two.\nfn f() {}\n", &[(1, "One\ntwo.")]);
        check("//! Inner\n\n/// Outer\n", &[(1, "Inner"), (3, "Outer")]);
        check("\n  /// One\n\n  /// two\n", &[(2, "One\n\ntwo")]);
        check("/// One\n#[inline]\n/// Two\n", &[(1, "One"), (3, "Two")]);
    }

    #[test]
    fn block_comments_lose_their_stars() {
        check("/** One */ fn f() {}", &[(1, "One ".trim_end())]);
        check("/*! Inner\n * two\n */", &[(1, "Inner\ntwo")]);
        check("/**\n * One\n *\n *     code\n */", &[(1, "\nOne\n\n    code")]);
        check("/**\n  One\n    two\n*/", &[(1, "\nOne\n  two")]);
        check("/** a /* b */ c */", &[(1, "a /* b */ c")]);
    }

    #[test]
    fn plain_comments_are_not_documentation() {
        for source in ["// a", "//// a", "/* a */", "/**/", "/*** a */", "/***/", "//", "/** cut"] {
            check(source, &[]);
        }
    }

    #[test]
    fn strings_and_characters_hide_comment_marks() {
        check(r#"let glob = "src/**/*.rs"; /// a"#, &[(1, "a")]);
        check(r#"let s = "\\"; let t = "\" /// no"; /// a"#, &[(1, "a")]);
        check("let s = r#\"\" /// no\"#; /// a", &[(1, "a")]);
        check("let s = br\"\\\"; /// a", &[(1, "a")]);
        check("let c = '\"'; /// a", &[(1, "a")]);
        check(r"let c = '\''; let d = b'\\'; /// a", &[(1, "a")]);
        check("fn f<'a>(r#type: &'a str) {} /// a", &[(1, "a")]);
        check("let s = \"two\nlines\";\n/// a", &[(3, "a")]);
    }

    #[test]
    fn windows_line_ends_are_read_as_line_ends() {
        check("/// One\r\n/// two\r\n\r\nfn f() {}\r\n", &[(1, "One\ntwo")]);
        check("/**\r\n * One\r\n */", &[(1, "\nOne")]);
    }

    #[test]
    fn common_indentation_is_taken_away() {
        check("///   a\n///     b\n///\n///   c", &[(1, "a\n  b\n\nc")]);
        check("///a\n/// b", &[(1, "a\n b")]);
        check("/// ü\n///\u{a0}é", &[(1, " ü\n\u{a0}é")]);
        check("///", &[]);
        check("", &[]);
    }
}
