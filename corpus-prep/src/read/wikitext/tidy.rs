//! Lines of a text whose marks are gone.

/// A text of clean lines: one blank line between paragraphs, headings as lines of their own and only where words follow.
pub fn tidy(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut headings: Vec<(usize, String)> = Vec::new();
    let mut is_behind_blank = false;
    for line in text.lines() {
        let line = clean(line);
        if line.is_empty() {
            is_behind_blank = true;
            continue;
        }
        if let Some((level, heading)) = heading(&line) {
            while headings.last().is_some_and(|(above, _)| *above >= level) {
                headings.pop();
            }
            headings.push((level, heading.to_owned()));
            continue;
        }
        for (_, heading) in headings.drain(..) {
            push(&mut out, &heading, true);
            is_behind_blank = true;
        }
        push(&mut out, &line, is_behind_blank);
        is_behind_blank = false;
    }
    out
}

fn push(out: &mut String, line: &str, is_behind_blank: bool) {
    match (out.is_empty(), is_behind_blank) {
        (true, _) => {}
        (false, true) => out.push_str("\n\n"),
        (false, false) => out.push('\n'),
    }
    out.push_str(line);
}

/// Level and words of a heading.
fn heading(line: &str) -> Option<(usize, &str)> {
    let level = |line: &str| line.bytes().take_while(|byte| *byte == b'=').count();
    let opened = level(line);
    let closed = line.bytes().rev().take_while(|byte| *byte == b'=').count();
    let level = opened.min(closed).min(6);
    let words = line.get(level..line.len().checked_sub(level)?)?.trim();
    (level > 0 && !words.is_empty()).then_some((level, words))
}

/// A line without the marks of lists, with single spaces, and without brackets that hold nothing any more.
fn clean(line: &str) -> String {
    let is_table = line.starts_with("|-") || line.starts_with("|+");
    let words = line.trim_start_matches(['*', '#', ':', ';', ' ']).trim();
    if is_table || words.bytes().all(|byte| byte == b'-') {
        return String::new();
    }
    let mut out = String::with_capacity(words.len());
    for word in words.split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    without_empty_brackets(out)
}

/// Takes out brackets with nothing but spaces and commas in them, and those at the ends of others: what stood there was left
/// out.
fn without_empty_brackets(line: String) -> String {
    if !line.contains('(') {
        return line;
    }
    let mut out = String::with_capacity(line.len());
    for char in line.chars() {
        match char {
            ' ' | ',' | ';' if out.ends_with('(') => {}
            ')' => {
                out.truncate(out.trim_end_matches([' ', ',', ';']).len());
                match out.strip_suffix('(').map(|before| before.trim_end().len()) {
                    Some(before) => out.truncate(before),
                    None => out.push(')'),
                }
            }
            other => out.push(other),
        }
    }
    out
}
