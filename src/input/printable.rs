//! Names from outside, made safe to print.

/// A name in which nothing can act on the terminal.
///
/// Control characters (an escape sequence can rewrite the screen) and the marks that reverse the direction of
/// writing (which can make one name look like another) are shown as their code, like `\u{1b}`.
pub fn printable(name: &str) -> String {
    let mut shown = String::with_capacity(name.len());
    for character in name.chars() {
        match character {
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => shown.extend(character.escape_unicode()),
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
    }
}
