//! Makes names safe to print.

/// The name with every dangerous character shown as a code, such as `\u{1b}`.
///
/// - A control character can rewrite the terminal.
/// - A mark of writing direction can make one name look like another.
/// - XML cannot hold U+FFFE and U+FFFF.
/// - `##[`, `##vso[`, and `::` at the beginning or after a space start a command in the logs of CI programs.
pub fn printable(name: &str) -> String {
    let mut shown = String::with_capacity(name.len());
    for character in name.chars() {
        let opens_command = match character {
            '#' => shown.ends_with('#'),
            ':' => shown == ":" || shown.ends_with(" :"),
            _ => false,
        };
        match character {
            _ if opens_command => shown.extend(character.escape_unicode()),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fffe}' | '\u{ffff}' => {
                shown.extend(character.escape_unicode())
            }
            _ if character.is_control() => shown.extend(character.escape_unicode()),
            _ => shown.push(character),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_stay_and_controls_are_shown_as_codes() {
        assert_eq!(printable("Aufsatz über Äpfel 😀.txt"), "Aufsatz über Äpfel 😀.txt");
        assert_eq!(printable("a\x1b[31m\n\u{9b}"), r"a\u{1b}[31m\u{a}\u{9b}");
        assert_eq!(printable("gpj\u{202e}txt"), r"gpj\u{202e}txt");
        assert_eq!(printable("a\u{ffff}"), r"a\u{ffff}");
        assert_eq!(printable("##[stop] ::error::x"), r"#\u{23}[stop] :\u{3a}error::x");
        assert_eq!(printable("::error::std::vec # 1"), r":\u{3a}error::std::vec # 1");
    }
}
