//! Mail as it is saved: one message (`.eml`), or a mailbox of several (`.mbox`).
//!
//! What the sender wrote is judged: the text part of each message, decoded, without the headers, the attachments, the
//! signature, and what the mail program added of earlier mail.

use super::{BlockKind, Builder, LineUnit, Prose, html, plain};
use crate::{InputError, catch_panic, printable};
use mail_parser::mailbox::mbox::MessageIterator;
use mail_parser::{MessageParser, PartType};

/// The prose of a message or a mailbox.
pub fn extract(name: &str, bytes: &[u8]) -> Result<Prose, InputError> {
    let unreadable = || InputError::Mail { name: printable(name) };
    let blocks = catch_panic(|| messages(bytes))
        .map_err(|_| unreadable())?
        .ok_or_else(unreadable)?;
    let mut builder = Builder::default();
    for ((text, kind), number) in blocks.iter().zip(1..) {
        builder.begin(*kind);
        builder.add(text, number);
    }
    Ok(builder.finish(LineUnit::Paragraph))
}

/// The paragraphs of all messages. None if the bytes are no mail.
fn messages(bytes: &[u8]) -> Option<Vec<(String, BlockKind)>> {
    let mut blocks = Vec::new();
    if bytes.starts_with(b"From ") {
        for message in MessageIterator::new(bytes).filter_map(Result::ok) {
            blocks.extend(paragraphs(message.contents())?);
        }
    } else {
        blocks = paragraphs(bytes)?;
    }
    Some(blocks)
}

fn paragraphs(message: &[u8]) -> Option<Vec<(String, BlockKind)>> {
    let message = MessageParser::default().parse(message)?;
    // Without a single header the parser takes any bytes for a message.
    if message.headers().is_empty() {
        return None;
    }
    let mut blocks = Vec::new();
    for part in message.text_bodies() {
        let prose = match &part.body {
            PartType::Text(text) => plain::extract(&own_part(&crate::with_line_feeds(text.clone()))),
            PartType::Html(text) => html::extract(text),
            _ => continue,
        };
        blocks.extend(prose.blocks.into_iter().map(|block| (block.text, block.kind)));
    }
    Some(blocks)
}

/// What the sender wrote: the text up to the signature or the forwarded mail, without quotations and the lines that
/// introduce them. A text that is quoted from beginning to end comes back whole.
fn own_part(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let end = lines.iter().position(|line| ends_own_part(line)).unwrap_or(lines.len());
    let is_quoted = |line: &str| line.starts_with('>');
    let mut kept: Vec<&str> = Vec::new();
    for (i, line) in lines[..end].iter().enumerate() {
        if is_quoted(line) {
            if i == 0 || !is_quoted(lines[i - 1]) {
                drop_introduction(&mut kept);
            }
        } else {
            kept.push(line);
        }
    }
    let kept = if kept.iter().all(|line| line.trim().is_empty()) {
        lines
    } else {
        kept
    };
    kept.join("\n") + "\n"
}

/// Whether the sender's own text ends before a line.
fn ends_own_part(line: &str) -> bool {
    let plain = line.trim_matches(|c: char| c == '-' || c == '_' || c.is_whitespace());
    line == "-- "
        || line == "--"
        || line.starts_with("--")
            && matches!(
                plain.to_ascii_lowercase().as_str(),
                "original message" | "forwarded message" | "begin forwarded message"
            )
}

/// Takes "On Monday, Anna Berg wrote:" off the end; it may stand on two lines.
fn drop_introduction(kept: &mut Vec<&str>) {
    let Some(last) = kept.iter().rposition(|line| !line.trim().is_empty()) else {
        return;
    };
    if !kept[last].trim_end().ends_with(':') {
        return;
    }
    let begins = |line: &str| line.starts_with("On ") || line.starts_with("At ") || line.starts_with("In ");
    let first = if begins(kept[last]) {
        Some(last)
    } else {
        last.checked_sub(1).filter(|&first| begins(kept[first]))
    };
    let names_writer = ["wrote:", "writes:", "said:"]
        .iter()
        .any(|end| kept[last].trim_end().ends_with(end));
    if let Some(first) = first.or(names_writer.then_some(last)) {
        kept.truncate(first);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::texts;
    use super::*;
    use proptest::prelude::*;

    fn read(mail: &str) -> Vec<String> {
        texts(extract("x.eml", mail.replace('\n', "\r\n").as_bytes()).unwrap())
    }

    const HEAD: &str = "From: Anna Berg <anna@example.org>\nTo: b@example.org\nSubject: The hens\nMIME-Version: 1.0\n";

    #[test]
    fn quoted_printable_and_base64_are_decoded() {
        let body = "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\nThe caf=C3=A9 \
                    is open, and the hens =\nare all at home again.\n\nSee you.\n";
        assert_eq!(
            read(&format!("{HEAD}{body}")),
            ["The café is open, and the hens are all at home again.", "See you."]
        );
        let body = "Content-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: base64\n\nVGhlIGNhZukgaXMgb3Blbi4=\n";
        assert_eq!(read(&format!("{HEAD}{body}")), ["The café is open."]);
    }

    #[test]
    fn the_text_part_of_several_is_read_and_html_where_there_is_no_other() {
        let parts = |plain: &str| {
            format!(
                "{HEAD}Content-Type: multipart/alternative; boundary=\"b\"\n\n{plain}--b\nContent-Type: text/html\n\n\
                 <p>The <b>html</b> hens.</p>\n--b--\n"
            )
        };
        assert_eq!(
            read(&parts("--b\nContent-Type: text/plain\n\nThe plain hens.\n")),
            ["The plain hens."]
        );
        assert_eq!(read(&parts("")), ["The html hens."]);
    }

    #[test]
    fn quotations_signatures_and_forwarded_mail_are_left_out() {
        let body = "\nYes, they are.\n\nOn Monday, Ben Ode wrote:\n> Are the hens at home?\n> All of them?\n\nAll ten.\n\n-- \nAnna\n";
        assert_eq!(read(&format!("{HEAD}{body}")), ["Yes, they are.", "All ten."]);
        let body = "\nPlease read this.\n\n-----Original Message-----\nFrom: Ben\n\nThe hens are gone.\n";
        assert_eq!(read(&format!("{HEAD}{body}")), ["Please read this."]);
        let body = "\n> The hens are at home.\n> All ten.\n";
        assert_eq!(
            read(&format!("{HEAD}{body}")).join(" "),
            "The hens are at home. All ten."
        );
    }

    #[test]
    fn a_mailbox_has_the_texts_of_its_messages() {
        let mailbox = "From a@example.org Mon Jan  5 10:00:00 2026\nSubject: One\n\nThe first hen.\n\nFrom b@example.org \
                       Mon Jan  5 11:00:00 2026\nSubject: Two\n\nThe second hen.\n";
        assert_eq!(
            texts(extract("x.mbox", mailbox.as_bytes()).unwrap()),
            ["The first hen.", "The second hen."]
        );
    }

    #[test]
    fn what_is_no_mail_gets_a_sentence() {
        let error = extract("x.eml", b"").unwrap_err();
        assert!(error.to_string().contains("x.eml"), "{error}");
    }

    proptest! {
        #[test]
        fn any_bytes_give_prose_or_a_sentence(bytes in prop::collection::vec(any::<u8>(), 0..300), head: bool) {
            let bytes = if head { [HEAD.as_bytes(), &bytes].concat() } else { bytes };
            let _ = extract("x.eml", &bytes);
        }
    }
}
