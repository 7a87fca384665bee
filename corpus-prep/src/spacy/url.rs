//! Web addresses, which are not cut.

use super::classes::{self, ALPHA_LOWER, DIGIT, WORD};

/// Whether a chunk without white space is a web address or an e-mail address.
///
/// That is: `scheme://` if there is one, anything that ends with `@` if there is, a public IPv4 address or the name of a
/// host, a port if there is one, and anything behind `/`, `?` or `#`.
///
/// Source: spaCy's `URL_PATTERN`, after Diego Perini, gist.github.com/dperini/729294 (MIT).
pub fn is_url(chunk: &str) -> bool {
    if !chunk.as_bytes().contains(&b'.') {
        return false;
    }
    starts_with_host(chunk)
        || behind_scheme(chunk).is_some_and(starts_with_host)
        || chunk.match_indices('@').any(|(at, _)| at > 0 && starts_with_host(&chunk[at + 1..]))
}

fn behind_scheme(chunk: &str) -> Option<&str> {
    let (scheme, rest) = chunk.split_once("://")?;
    let fits = scheme.chars().all(|c| matches!(c, '+' | '-' | '.') || classes::is(c, WORD));
    (fits && scheme.chars().nth(1).is_some()).then_some(rest)
}

/// Whether `text` is a host, then a port or none, then a path or none.
fn starts_with_host(text: &str) -> bool {
    let end = text.find(['@', ':', '/', '?', '#']).unwrap_or(text.len());
    let (host, rest) = text.split_at(end);
    (is_host_name(host) || is_public_address(host)) && (is_path(rest) || is_port_and_path(rest))
}

fn is_path(text: &str) -> bool {
    text.is_empty() || text.starts_with(['/', '?', '#'])
}

fn is_port_and_path(text: &str) -> bool {
    let Some(text) = text.strip_prefix(':') else { return false };
    let path = text.trim_start_matches(is_digit);
    let num_digits = text[..text.len() - path.len()].chars().count();
    (2..=5).contains(&num_digits) && is_path(path)
}

/// Labels that end with full stops, then a top-level domain of 2 to 63 letters that are not upper case.
fn is_host_name(host: &str) -> bool {
    let Some((labels, domain)) = host.rsplit_once('.') else { return false };
    (2..=63).contains(&domain.chars().count())
        && domain.chars().all(|c| classes::is(c, ALPHA_LOWER))
        && labels.split('.').all(is_label)
}

/// At most 64 characters; the first and the last are no hyphen and no low line.
fn is_label(label: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_alphanumeric() || ('\u{a1}'..='\u{ffff}').contains(&c);
    label.chars().all(|c| is_letter(c) || matches!(c, '-' | '_'))
        && label.chars().next().is_some_and(is_letter)
        && label.chars().next_back().is_some_and(is_letter)
        && label.chars().count() <= 64
}

/// An IPv4 address, but for those of private and loopback networks, and those that no host has.
fn is_public_address(host: &str) -> bool {
    let octets: Option<Vec<_>> = host.split('.').map(digits).collect();
    match octets.as_deref() {
        Some([first, second, third, fourth]) => {
            !is_private(first, second)
                && matches!(
                    first[..],
                    [1..=9] | [1..=9, _] | [1, _, _] | [2, 0..=1, _] | [2, 2, 0..=3]
                )
                && [second, third].iter().all(|octet| {
                    matches!(octet[..], [_] | [_, _] | [1, _, _] | [2, 0..=4, _] | [2, 5, 0..=5])
                })
                && matches!(
                    fourth[..],
                    [1..=9] | [1..=9, _] | [1, _, _] | [2, 0..=4, _] | [2, 5, 0..=4]
                )
        }
        _ => false,
    }
}

fn is_private(first: &[u8], second: &[u8]) -> bool {
    match first {
        [1, 0] | [1, 2, 7] => true,
        [1, 6, 9] => second == [2, 5, 4],
        [1, 9, 2] => second == [1, 6, 8],
        [1, 7, 2] => matches!(second, [1, 6..=9] | [2, _] | [3, 0..=1]),
        _ => false,
    }
}

/// The digits of a number; 10 for each one of another script, which the pattern lets through where any digit will do.
fn digits(number: &str) -> Option<Vec<u8>> {
    const OTHER: u8 = 10;
    let digit = |c: char| if c.is_ascii() { c as u8 - b'0' } else { OTHER };
    number.chars().map(|c| is_digit(c).then(|| digit(c))).collect()
}

fn is_digit(c: char) -> bool {
    classes::is(c, DIGIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(chunks: &[&str], expected: bool) {
        for chunk in chunks {
            assert_eq!(is_url(chunk), expected, "{chunk}");
        }
    }

    #[test]
    fn addresses_of_pages_and_people_are_kept() {
        check(
            &["www.example.com", "a.io", "http://example.com:8080/a?b#c", "example.com?x=(y)"],
            true,
        );
        check(
            &[
                "git+ssh://user:word@example.com/x",
                "someone@example.org",
                "ftp://8.8.8.8",
                "пример.рф",
            ],
            true,
        );
    }

    #[test]
    fn others_are_not() {
        check(
            &[
                "",
                "a.b",
                "lower.Upper",
                "x.COM",
                "example.com:1",
                "example.com:80x",
                "-a.com",
                "a-.com",
            ],
            false,
        );
        check(
            &[
                "10.0.0.1",
                "127.1.1.1",
                "192.168.1.1",
                "172.20.1.1",
                "224.1.1.1",
                "1.2.3.255",
                "1.2.3",
            ],
            false,
        );
        check(&["@example.com", "x://y", "a..com", "example.com,"], false);
    }

    #[test]
    fn labels_and_domains_have_their_longest() {
        check(&[&format!("{}.com", "a".repeat(64)), &format!("a.{}", "b".repeat(63))], true);
        check(&[&format!("{}.com", "a".repeat(65)), &format!("a.{}", "b".repeat(64))], false);
    }
}
