//! Markdown: CommonMark with GitHub's tables, footnotes, strikethrough and task lists, and with YAML or TOML front
//! matter.
//!
//! Code blocks, images, formulas, front matter, addresses of links, and footnotes without a reference are left out. So
//! is the HTML that [`html`] leaves out. Inline code stays, because a reader reads it as part of the sentence.
//!
//! Limits: words between inline tags are read even if the tags hide them, as in `<span hidden>`. So are words between
//! two blocks of HTML that an empty line separates.
//!
//! [`dialects`] takes out what MDX, Liquid, Hugo and MkDocs add to Markdown.

mod dialects;

use super::builder::{Builder, Lines};
use super::{BlockKind, LineUnit, Prose, html};
use pulldown_cmark::{Event, LinkType, Options, Parser, Tag, TagEnd};
use std::collections::HashSet;
use std::ops::Range;

/// The prose of a Markdown file.
pub fn extract(text: &str) -> Prose {
    // Front matter is removed here. The parser would find it anywhere, and leave out the text between two rulers.
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_HEADING_ATTRIBUTES
        | Options::ENABLE_MATH
        | Options::ENABLE_DEFINITION_LIST
        | Options::ENABLE_GFM;
    let (front, text) = text.split_at(front_matter(text));
    // Empty lines stand for the front matter, so that the lines keep their numbers.
    let text = "\n".repeat(front.matches('\n').count()) + &dialects::plain_markdown(text);
    let mut reader = Reader {
        text: &text,
        lines: Lines::of(&text),
        builder: Builder::default(),
        kind: BlockKind::Paragraph,
        items: 0,
        hidden: 0,
        in_address: false,
        block: None,
        // Without `[^` there is no footnote, and the file need not be read twice.
        footnotes: if text.contains("[^") {
            footnotes(&text, options)
        } else {
            HashSet::new()
        },
        unseen_footnote: false,
    };
    for (event, span) in Parser::new_ext(reader.text, options).into_offset_iter() {
        reader.take(event, span);
    }
    reader.builder.finish(LineUnit::Line)
}

/// The start of the text after the front matter, or 0 without front matter.
///
/// Front matter stands at the beginning of the file, and its first line must be a key. Ordinary text between two rulers
/// stays.
fn front_matter(text: &str) -> usize {
    let mut lines = text.split_inclusive('\n');
    let first = lines.next().unwrap_or_default();
    let (ends, is_key): (&[&str], fn(&str) -> bool) = match first.trim_end() {
        "---" => (&["---", "..."], is_yaml_key),
        "+++" => (&["+++"], |line| line.starts_with('[') || line.contains('=')),
        _ => return 0,
    };
    let mut at = first.len();
    let mut begun = false;
    for line in lines {
        at += line.len();
        let line = line.trim_end();
        if ends.contains(&line) {
            return at;
        }
        if !begun && !line.starts_with('#') {
            begun = true;
            if !is_key(line) {
                return 0;
            }
        }
    }
    0
}

/// Whether a line is a key of YAML, with or without a value.
fn is_yaml_key(line: &str) -> bool {
    let Some((key, value)) = line.split_once(':') else {
        return false;
    };
    let is_name = |c: char| c.is_alphanumeric() || "_-.\"' ".contains(c);
    (value.is_empty() || value.starts_with(' ')) && key.split(' ').count() <= 3 && key.chars().all(is_name)
}

struct Reader<'a> {
    /// The file without its front matter, with the same lines.
    text: &'a str,
    lines: Lines,
    builder: Builder,
    /// The kind of the open block.
    kind: BlockKind,
    /// How many list items are open.
    items: usize,
    /// How many elements are open whose content is not prose.
    hidden: usize,
    /// Whether one of them is an address in the place of a text.
    in_address: bool,
    /// An open block of HTML, and its first line.
    block: Option<(String, usize)>,
    /// The footnotes that the text refers to.
    footnotes: HashSet<String>,
    /// Whether the open footnote has no reference.
    unseen_footnote: bool,
}

/// The footnotes that a text refers to. Other footnotes are never shown.
fn footnotes(text: &str, options: Options) -> HashSet<String> {
    let label = |event: Event| match event {
        Event::FootnoteReference(label) => Some(label.into_string()),
        _ => None,
    };
    Parser::new_ext(text, options).filter_map(label).collect()
}

impl Reader<'_> {
    fn begin(&mut self, kind: BlockKind) {
        self.kind = kind;
        self.builder.begin(kind);
    }

    /// Adds words. Tags of Liquid and Hugo between them were left out.
    fn add(&mut self, words: &str, line: usize) {
        for (i, part) in words.split(dialects::LEFT_OUT).enumerate() {
            if i > 0 {
                self.builder.left_out();
            }
            self.builder.add(part, line);
        }
    }

    fn take(&mut self, event: Event, span: Range<usize>) {
        let line = self.lines.at(span.start);
        match event {
            Event::Start(tag) => self.start(&tag, line),
            Event::End(tag) => self.end(tag),
            // The parser has replaced line ends by spaces, so the lines must come from the file.
            Event::Code(_) if self.hidden == 0 && self.text[span.clone()].contains('\n') => {
                for (part, number) in self.text[span].trim_matches('`').split('\n').zip(line..) {
                    if number > line {
                        self.builder.space();
                    }
                    self.add(part.trim_start_matches(['>', ' ', '\t']), number);
                }
            }
            Event::Text(words) | Event::Code(words) if self.hidden == 0 => self.add(&words, line),
            // The parser takes `$5-$6` for a formula. No letter or digit follows a real formula directly.
            Event::InlineMath(_) if self.hidden == 0 => match self.text[span.end..].chars().next() {
                Some(next) if next.is_alphanumeric() => self.add(&self.text[span], line),
                _ => self.builder.left_out(),
            },
            Event::SoftBreak | Event::HardBreak => self.builder.space(),
            Event::InlineHtml(tag) if self.hidden == 0 => self.inline_html(&tag, line),
            Event::Html(html) => {
                if let Some((block, _)) = &mut self.block {
                    block.push_str(&html);
                }
            }
            _ => {}
        }
    }

    fn start(&mut self, tag: &Tag, line: usize) {
        match tag {
            Tag::CodeBlock(_) => {
                self.builder.end();
                self.hidden += 1;
            }
            Tag::Image { .. } => self.hidden += 1,
            Tag::Link {
                link_type: LinkType::Autolink | LinkType::Email,
                ..
            } => {
                self.in_address = true;
                self.hidden += 1;
            }
            Tag::Item | Tag::DefinitionListDefinition => {
                self.items += 1;
                self.begin(BlockKind::Item);
            }
            Tag::Heading { .. } => self.begin(BlockKind::Heading),
            Tag::FootnoteDefinition(label) if !self.footnotes.contains(label.as_ref()) => {
                self.builder.end();
                self.hidden += 1;
                self.unseen_footnote = true;
            }
            // The first paragraph of an item belongs to the item.
            Tag::Paragraph | Tag::TableCell | Tag::FootnoteDefinition(_) | Tag::DefinitionListTitle => {
                self.begin(match self.items {
                    0 => BlockKind::Paragraph,
                    _ => BlockKind::Item,
                });
            }
            Tag::HtmlBlock => {
                self.builder.end();
                self.block = Some((String::new(), line));
            }
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::CodeBlock => self.hidden -= 1,
            TagEnd::FootnoteDefinition if self.unseen_footnote => {
                self.hidden -= 1;
                self.unseen_footnote = false;
            }
            TagEnd::Image => self.show_again(),
            TagEnd::Link if self.in_address => {
                self.in_address = false;
                self.show_again();
            }
            TagEnd::Item | TagEnd::DefinitionListDefinition => {
                self.items -= 1;
                self.builder.end();
            }
            TagEnd::Paragraph
            | TagEnd::Heading(_)
            | TagEnd::TableCell
            | TagEnd::FootnoteDefinition
            | TagEnd::DefinitionListTitle => self.builder.end(),
            TagEnd::HtmlBlock => {
                if let Some((html, first)) = self.block.take() {
                    html::add(&html.replace(dialects::LEFT_OUT, " "), first, &mut self.builder);
                }
            }
            _ => {}
        }
    }

    /// Continues after an image or an address.
    fn show_again(&mut self) {
        self.hidden -= 1;
        if self.hidden == 0 {
            self.builder.left_out();
        }
    }

    /// Reads inline HTML. A tag that breaks the line separates words. A comment may be a mark, which ends the block
    /// before it.
    fn inline_html(&mut self, html: &str, line: usize) {
        let comment = html.strip_prefix("<!--").and_then(|rest| rest.strip_suffix("-->"));
        if html.starts_with("<br") {
            self.builder.space();
        } else if comment.is_some_and(|comment| self.builder.mark(comment, line)) {
            self.builder.begin(self.kind);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, shown};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_a_reader_reads_is_taken_out_and_nothing_else() {
        let prose = extract(
            "---\ntitle: No prose\n---\n# The *hen* house\n\nThe hen had `ten` [hats](http://example.com/x \"t\"), and\nthen &amp; there \
             ten **more**. ![no](a.png)\n\n```rust\nlet no = 1;\n```\n\n- One <br>item\n- [x] Two\n\n  of it\n\n1. Three\n\n> Said \
             she.\n\n| Head | Other |\n|---|---|\n| cell | $x$ last |\n\n    no code\n\nA note[^1].\n\n[^1]: The footnote.\n\n<div class=\"x\">\n<em>Some</em> \
             HTML</div>\n<script>no</script>\n",
        );
        assert_eq!(
            shown(&prose),
            [
                "Heading 4: The hen house",
                "Paragraph 6-7: The hen had ten hats, and then & there ten more.",
                "Item 13: One item",
                "Item 14: Two",
                "Item 16: of it",
                "Item 18: Three",
                "Paragraph 20: Said she.",
                "Paragraph 22: Head",
                "Paragraph 22: Other",
                "Paragraph 24: cell",
                "Paragraph 24: last",
                "Paragraph 28: A note.",
                "Paragraph 30: The footnote.",
                "Paragraph 33: Some HTML",
            ]
        );
    }

    #[test]
    fn what_programs_drop_around_text_hides_nothing_and_footnotes_of_nothing_are_not_read() {
        for html in [
            "div hidden",
            "svg",
            "template",
            "noscript",
            "textarea",
            "div style=\"display:none\"",
        ] {
            let name = html.split(' ').next().unwrap();
            let prose = extract(&format!("<{html}>\nIt is shown.\n</{name}>\n"));
            assert_eq!(shown(&prose), ["Paragraph 2: It is shown."], "{html}");
        }
        let prose = extract("One[^a].\n\n[^a]: Seen.\n\n[^b]: Unseen,\n    whatever stands in it.\n\nTwo.\n");
        assert_eq!(
            shown(&prose),
            ["Paragraph 1: One.", "Paragraph 3: Seen.", "Paragraph 8: Two."]
        );
    }

    #[test]
    fn code_and_tags_of_page_generators_are_no_prose_and_text_in_components_is() {
        let mdx = extract(
            "---\ntitle: no\n---\nimport { A } from '@no/no'\nexport const no = {\n  no: 'no'\n}\n\n# Use <Badge text=\"no\" /> it\n\n\
             <Tabs items={['no', 'no > no']}>\n  <Tab title=\"no\">\n\n    Some *prose*\n    is here.\n\n    ```js\n    no()\n    ```\n\n    \
             - An item\n\n  </Tab>\n</Tabs>\n\n{/* no\n\nno */}\n\nThe <Em>end</Em>.\n\n    no()\n",
        );
        assert_eq!(
            shown(&mdx),
            [
                "Heading 9: Use it",
                "Paragraph 14-15: Some prose is here.",
                "Item 21: An item",
                "Paragraph 30: The end.",
            ]
        );
        let liquid = extract(
            "{% include no.html content=\"no no\" %}\n\nSince {{ site.no }}, the [hen]({{ site.no }}/no \"no\") `{{ stays }}`.\n\
             {% if no %}\nIt *is*.\n{% endif %}\n\n{{< figure src=\"no\"\n caption=\"no\" >}}\n\n{{% notice no %}}\nA note.\n\
             {{% /notice %}}\n\n{% highlight no %}\nno no\n{% endhighlight %}\n\n<p>{{ no }} In HTML.</p>\n\n<img src=\"{{ no }}\">\n\nLast.\n\
             {: .no }\n\n[no]: https://no.no \"no no\"\n",
        );
        assert_eq!(
            shown(&liquid),
            [
                "Paragraph 3: Since, the hen {{ stays }}.",
                "Paragraph 5: It is.",
                "Paragraph 12: A note.",
                "Paragraph 19: In HTML.",
                "Paragraph 23: Last.",
            ]
        );
        let marks = extract(
            "!!! note \"A title\"\n    In *it*.\n\n> [!TIP] Another\n> In that.\n\n:::warning\nIn this.\n:::\n\nAfter !!! all ::: that.\n",
        );
        assert_eq!(
            shown(&marks),
            [
                "Heading 1: A title",
                "Paragraph 2: In it.",
                "Heading 4: Another",
                "Paragraph 5: In that.",
                "Paragraph 8: In this.",
                "Paragraph 11: After !!! all ::: that.",
            ]
        );
    }

    #[test]
    fn marks_stand_in_comments() {
        let prose = extract(
            "One.\n\n<!-- whowrote: ignore -->\nTwo.\n\nThree.\n\n<!-- whowrote: ignore-start -->\n\n- four\n- five\n\n<!-- whowrote: \
             ignore-end -->\n\nSix. <!-- whowrote: ignore -->\n",
        );
        let ignored: Vec<&str> = prose
            .blocks
            .iter()
            .filter(|b| b.ignored)
            .map(|b| b.text.as_str())
            .collect();
        assert_eq!(ignored, ["Two.", "four", "five"]);
        assert_eq!(prose.notes, []);
        let apart = extract("<!-- whowrote: ignore -->\n\nTwo.\n\nThree.\n");
        let ignored: Vec<bool> = apart.blocks.iter().map(|b| b.ignored).collect();
        assert_eq!(ignored, [true, false]);
    }

    #[test]
    fn only_front_matter_at_the_beginning_is_left_out() {
        for (text, expected) in [
            ("---\ntitle: no\n\ndate: no\n---\nText.\n", vec!["Paragraph 6: Text."]),
            ("+++\n[no]\n+++\nText.\n", vec!["Paragraph 4: Text."]),
            (
                "---\nShown, whatever stands around it.\n\n---\n",
                vec!["Paragraph 2: Shown, whatever stands around it."],
            ),
            (
                "---\ntitle: It has no end.\n",
                vec!["Paragraph 2: title: It has no end."],
            ),
            (
                "One.\n\n---\nkey: Two.\n\nThree.\n\n---\n",
                vec!["Paragraph 1: One.", "Paragraph 4: key: Two.", "Paragraph 6: Three."],
            ),
        ] {
            assert_eq!(shown(&extract(text)), expected, "{text:?}");
        }
    }

    #[test]
    fn marks_within_html_and_within_paragraphs_exempt_what_stands_between_them() {
        let prose = extract(
            "<div>\n<p>One.</p>\n<!-- whowrote: ignore-start -->\n<p>Two.</p>\n<!-- whowrote: ignore-end -->\n<p>Three.</p>\n</div>\n\n\
             Four <!-- whowrote: ignore -->\nfive.\n\nSix.\n",
        );
        let blocks: Vec<(&str, bool)> = prose.blocks.iter().map(|b| (b.text.as_str(), b.ignored)).collect();
        let expected = [
            ("One.", false),
            ("Two.", true),
            ("Three.", false),
            ("Four", false),
            ("five.", true),
            ("Six.", false),
        ];
        assert_eq!(blocks, expected);
    }

    #[test]
    fn what_hides_the_rest_of_a_file_gets_a_note() {
        for text in ["One.\n\n<!-- two\n\nthree\n", "One.\n\n<script>\ntwo\n\nthree\n"] {
            let prose = extract(text);
            assert_eq!(shown(&prose), ["Paragraph 1: One."]);
            assert_eq!(
                prose.notes.iter().map(|(line, _)| *line).collect::<Vec<_>>(),
                [3],
                "{text:?}"
            );
        }
        assert_eq!(extract("<svg>\n\nShown.\n\n</svg>\n").notes, []);
    }

    #[test]
    fn addresses_go_and_sums_of_money_stay() {
        let prose = extract("See <https://a.b/c>, or <a@b.cd>. It costs $5-$6 a piece, not $x$ of it.\n");
        assert_eq!(
            shown(&prose),
            ["Paragraph 1: See, or. It costs $5-$6 a piece, not of it."]
        );
    }

    #[test]
    fn a_megabyte_of_any_sign_is_read_in_no_time() {
        // Each takes at most a fifth of a second when optimised, and seconds on a busy machine. Quadratic time would take
        // minutes.
        let limit = std::time::Duration::from_secs(20);
        for sign in [
            "[",
            "*",
            "<",
            "`",
            "> ",
            "- ",
            "![",
            "_a",
            "|",
            "&",
            "<!--",
            "[^",
            "\\",
            "$",
            "a\n: ",
            "((((",
            "<a ",
            "<p>",
            "<div>\n\n",
            "[a](",
            "[a]: ",
            "```\n",
            "|a|b|\n|-|-|\n",
            "::\n\n",
            "---\n",
            "* a\n",
            "1. ",
            "a\n---\n",
            "<!-- whowrote: ignore -->\n\n",
            "{{",
            "{{ a }}",
            "{%",
            "{% comment %}",
            "{/*",
            "<A>",
            "<A>\n",
            "</A>",
            "<A {",
            "<A b=\"",
            "<A\n",
            "import {\n\n",
            "export const a = `\n\n",
            "!!! a\n    ",
            ":::a\n",
            "> [!a] ",
            "    <A>\n",
            "\\`",
            "a` ",
        ] {
            let begin = std::time::Instant::now();
            extract(&sign.repeat((1 << 20) / sign.len()));
            let took = begin.elapsed();
            assert!(took < limit, "{sign:?} took {took:?}");
        }
    }

    proptest! {
        #[test]
        fn words_stand_on_their_lines(
            text in "([a-z]{1,5}|[*_`#>\\[\\]()!|<~-]{1,3}|[0-9]\\. |\n|\n\n|    | |&amp;|\\\\){0,60}",
        ) {
            check(&text, &extract(&text));
        }

        #[test]
        fn numbered_words_are_found_once_and_on_their_lines(
            parts in prop::collection::vec(prop::sample::select(vec![
                " ", "\n", "\n\n", "\n\n- ", "\n  ", "\n> ", "\n\n> ", "\n\n# ", "\n\n1. ", " *", "* ", " **", " [", "](x 't') ", " `", "` ", "  \n", "\\\n",
                "\n\n<p>", "</p>\n", "<br>", "<!-- a\n -->", "&amp; ", "\n\n***\n\n", "\n\n| a |\n|---|\n| ", "\n\n<A>\n\n    ", "\n</A>\n\n",
                " {{ a }} ", "\n{% a\n b %}\n", "\n\n!!! a\n    ", "\n    ", "\n\n::: a\n", "\n\nimport 'a'\n\n", "{/* a\n */}", "\n```\n",
                "\n\n<div>\n", "\n</div>\n\n", "\n===\n", "\n---\n",
            ]), 1..40),
        ) {
            // Each word has a number, so that it can be found again.
            let text: String = parts.iter().zip(1..).map(|(part, number)| format!("{part}w{number}x")).collect();
            let line_of = |word: &str| text[..text.find(word).unwrap_or(0)].matches('\n').count() + 1;
            let mut before = 0;
            for block in extract(&text).blocks {
                for piece in block.pieces {
                    // Markup between two words may have joined them.
                    let words = block.text[piece.span].split(|c: char| !c.is_ascii_alphanumeric());
                    for word in words.flat_map(|run| run.split_inclusive('x')).filter(|word| word.starts_with('w')) {
                        prop_assert_eq!(piece.line, line_of(word), "{} in {:?}", word, text);
                        let number: usize = word[1..word.len() - 1].parse().unwrap();
                        prop_assert!(number > before, "{} in {:?}", word, text);
                        before = number;
                    }
                }
            }
        }

        #[test]
        fn any_text_is_read(text in any::<String>()) {
            check("", &extract(&text));
        }
    }
}
