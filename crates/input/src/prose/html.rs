//! HTML: the running text that a browser shows.
//!
//! `html5gum` finds tags, references and comments. It follows the tokenizer of the
//! [standard](https://html.spec.whatwg.org/multipage/parsing.html). This module tracks the open elements, just
//! precisely enough to know what is left out, what is a heading or an item, and where an omitted end tag belongs. Each
//! step takes constant time, however deep the elements nest.

use super::{BlockKind, Builder, LineUnit, Lines, Prose};
use html5gum::emitters::default::{DefaultEmitter, StartTag, Token};
use html5gum::{Emitter, Error, ForwardingEmitter, Span, State, StringReader, Tokenizer};
use std::collections::HashMap;

/// Extracts the prose of an HTML file.
///
/// Code, styles, preformatted text, drawings, formulas and attributes are left out, and so are elements that an
/// attribute hides. The effect of style sheets and scripts is unknown.
pub fn extract(text: &str) -> Prose {
    let mut builder = Builder::default();
    read(text, 1, false, &mut builder);
    builder.finish(LineUnit::Line)
}

/// Adds the prose of a fragment of HTML in a file of another markup. The fragment begins on line `first` of that file.
/// Its marks apply to the rest of the file.
///
/// Only scripts, styles and preformatted text are left out, because programs that show such files drop other tags and
/// attributes but show their content. Elements that are still open end with the fragment, so the text after it is read
/// again.
pub fn add(text: &str, first: usize, builder: &mut Builder) {
    read(text, first, true, builder);
}

fn read(text: &str, first: usize, fragment: bool, builder: &mut Builder) {
    builder.end();
    let mut page = Page::new(text, first, fragment, builder);
    let mut tokens = Tokenizer::new_with_emitter(text, Emitted(DefaultEmitter::new_with_span()));
    while let Some(Ok(token)) = tokens.next() {
        page.take(token, &mut tokens);
    }
    page.finish();
}

type Tokens<'a> = Tokenizer<StringReader<'a>, Emitted>;

/// The usual tokens without errors. Nothing uses the errors, and a broken file can have one for each byte.
struct Emitted(DefaultEmitter<usize>);

impl ForwardingEmitter for Emitted {
    type Token = Token<usize>;

    fn inner(&mut self) -> &mut impl Emitter<Token = Token<usize>> {
        &mut self.0
    }

    fn emit_error(&mut self, error: Error) {
        if matches!(error, Error::EofInComment | Error::EofInTag) {
            Emitter::emit_error(&mut self.0, error);
        }
    }
}

/// Elements that are separate from the text around them.
const BLOCKS: &[&str] = &[
    "address",
    "article",
    "aside",
    "blockquote",
    "body",
    "caption",
    "center",
    "colgroup",
    "dd",
    "details",
    "dialog",
    "dir",
    "div",
    "dl",
    "dt",
    "fieldset",
    "figcaption",
    "figure",
    "footer",
    "form",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "head",
    "header",
    "hgroup",
    "hr",
    "html",
    "legend",
    "li",
    "listing",
    "main",
    "menu",
    "nav",
    "ol",
    "p",
    "plaintext",
    "pre",
    "search",
    "section",
    "summary",
    "table",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "title",
    "tr",
    "ul",
    "xmp",
];

/// Elements whose content is not prose, or is not shown.
const LEFT_OUT: &[&str] = &[
    "datalist",
    "iframe",
    "listing",
    "math",
    "noembed",
    "noframes",
    "noscript",
    "plaintext",
    "pre",
    "script",
    "style",
    "svg",
    "template",
    "textarea",
    "xmp",
];

/// The elements left out of a fragment in a file of another markup.
const LEFT_OUT_OF_FRAGMENTS: &[&str] = &["listing", "pre", "script", "style", "xmp"];

/// Elements without content, and so without an end tag.
const VOID: &[&str] = &[
    "area", "base", "basefont", "bgsound", "br", "col", "embed", "frame", "hr", "img", "input", "keygen", "link",
    "meta", "param", "source", "track", "wbr",
];

/// Elements whose end tag the standard lets authors omit.
const END_OMISSIBLE: &[&str] = &[
    "body", "caption", "colgroup", "dd", "dt", "head", "html", "li", "optgroup", "option", "p", "rp", "rt", "tbody",
    "td", "tfoot", "th", "thead", "tr",
];

/// Inline elements that end a drawing or a formula if they stand in it by mistake. [`BLOCKS`] do so too.
const INLINE_OUT_OF_FOREIGN: &[&str] = &[
    "b", "big", "br", "code", "em", "embed", "i", "img", "meta", "s", "small", "span", "strike", "strong", "sub",
    "sup", "tt", "u", "var",
];

/// Elements that Markdown continues up to their end tag. Without one, they reach to the end of the file.
const TO_THE_END: &[&str] = &["pre", "script", "style", "textarea"];

const HEADINGS: &[&str] = &["h1", "h2", "h3", "h4", "h5", "h6"];

const TABLE_PARTS: &[&str] = &["caption", "table", "tbody", "td", "tfoot", "th", "thead", "tr"];

/// Elements that shield the elements around them from end tags inside.
const SCOPES: &[&str] = &[
    "applet", "caption", "marquee", "object", "table", "td", "template", "th",
];

/// Groups of elements that the start of another element can end without an end tag.
#[derive(Clone, Copy)]
enum Group {
    P,
    Item,
    Definition,
    Cell,
    Row,
    Rows,
    Heading,
    Foreign,
}

/// No element in [`Open::nearest`]. It is larger than any index, so that a minimum ignores it.
const NONE: usize = usize::MAX;

/// An open element, and what it means for its text.
#[derive(Clone, Debug)]
struct Open {
    name: String,
    begins: usize,
    kind: BlockKind,
    left_out: bool,
    /// Whether it is part of a drawing or a formula, in which names have other meanings.
    foreign: bool,
    /// The innermost open element of each [`Group`] that a start tag here can end.
    nearest: [usize; 8],
    /// The element that limits the end tags of inline elements. They end nothing outside of it.
    block: usize,
    /// The element that limits all end tags but those of tables.
    scope: usize,
}

/// The state while a page is read.
struct Page<'a, 'b> {
    text: &'a str,
    lines: Lines,
    /// The line of the file on which the text begins.
    first: usize,
    /// Whether the text is a fragment in a file of another markup.
    fragment: bool,
    builder: &'b mut Builder,
    /// The open elements. The first one stands for the page.
    open: Vec<Open>,
    /// For each name, the indices of its elements in `open`.
    by_name: HashMap<String, Vec<usize>>,
    /// Whether the innermost heading already has words.
    heading_has_words: bool,
    /// The end of the last token.
    read: usize,
    comment_without_end: bool,
    tag_without_end: bool,
}

impl<'a, 'b> Page<'a, 'b> {
    fn new(text: &'a str, first: usize, fragment: bool, builder: &'b mut Builder) -> Self {
        Self {
            text,
            lines: Lines::of(text),
            first,
            fragment,
            builder,
            open: vec![Open {
                name: String::new(),
                begins: 0,
                kind: BlockKind::Paragraph,
                left_out: false,
                foreign: false,
                nearest: [NONE; 8],
                block: 0,
                scope: 0,
            }],
            by_name: HashMap::new(),
            heading_has_words: false,
            read: 0,
            comment_without_end: false,
            tag_without_end: false,
        }
    }

    /// The line of the file for a byte of the text.
    fn line(&self, byte: usize) -> usize {
        self.lines.at(byte) + self.first - 1
    }

    fn inner(&self) -> &Open {
        self.open.last().expect("the page itself is never closed")
    }

    fn take(&mut self, token: Token<usize>, tokens: &mut Tokens) {
        let span = match token {
            Token::StartTag(tag) => {
                let span = tag.span;
                self.start(&tag, tokens);
                span
            }
            Token::EndTag(tag) => {
                self.end(&String::from_utf8_lossy(&tag.name), tag.span.start);
                tag.span
            }
            Token::String(string) => {
                self.words(string.span);
                string.span
            }
            Token::Comment(comment) => {
                self.comment(&String::from_utf8_lossy(&comment.value), comment.span.start);
                comment.span
            }
            Token::Doctype(doctype) => doctype.span,
            Token::Error(error) => {
                self.comment_without_end |= error.value == Error::EofInComment;
                self.tag_without_end |= error.value == Error::EofInTag;
                return;
            }
        };
        self.read = span.end;
    }

    /// Adds the words in a range of the text. They come from the file and not from the token: the token has a line end
    /// for a reference such as `&#10;`, which does not end a line of the file.
    fn words(&mut self, span: Span<usize>) {
        if self.inner().left_out {
            return;
        }
        let Some(text) = self.text.get(span.start..span.end) else {
            return;
        };
        self.heading_has_words |= !text.trim().is_empty();
        let in_title = self.inner().name == "title";
        let first = self.line(span.start);
        for (line, number) in text.split('\n').zip(first..) {
            if number > first {
                self.builder.space();
            }
            for part in shown_parts(line, in_title) {
                if part.contains('&') {
                    self.builder.add(&decoded(part), number);
                } else {
                    self.builder.add(part, number);
                }
            }
        }
    }

    fn comment(&mut self, comment: &str, begins: usize) {
        // The tokenizer also gives declarations and processing instructions as comments. They are skipped.
        if !self.text.get(begins..).is_some_and(|text| text.starts_with("<!--")) {
            return;
        }
        let line = self.line(begins);
        if self.builder.mark(comment, line) {
            let kind = self.inner().kind;
            self.builder.begin(kind);
        }
        if self.comment_without_end {
            let message = "The comment that begins here has no end, so everything after it is left out.";
            self.builder.note(line, message.to_owned());
        }
    }

    fn start(&mut self, tag: &StartTag<usize>, tokens: &mut Tokens) {
        let name = String::from_utf8_lossy(&tag.name);
        let name = name.as_ref();
        self.close_before(name, tag.span.start);
        let outer = self.inner();
        let (shown, kind) = (!outer.left_out, outer.kind);
        let foreign_root = !self.fragment && matches!(name, "svg" | "math");
        if outer.foreign || foreign_root {
            if !tag.self_closing {
                self.open(name, tag);
            }
            return;
        }
        if shown && matches!(name, "br" | "option" | "optgroup") {
            self.builder.space();
        }
        if !is(VOID, name) {
            self.open(name, tag);
            // An element that a fragment shows is tokenized as ordinary HTML.
            let as_html = self.fragment && !is(LEFT_OUT_OF_FRAGMENTS, name);
            if let Some(state) = state_in(name).filter(|_| !as_html) {
                tokens.set_state(state);
            }
        }
        if shown && is(BLOCKS, name) {
            let kind = if is(VOID, name) { kind } else { self.inner().kind };
            self.builder.begin(kind);
        }
    }

    /// Ends the elements that the start of another element ends.
    fn close_before(&mut self, name: &str, at: usize) {
        let block = is(BLOCKS, name);
        let nearest = |page: &Self, group: Group| page.inner().nearest[group as usize];
        if self.inner().foreign && name != "title" && (block || is(INLINE_OUT_OF_FOREIGN, name)) {
            self.close(nearest(self, Group::Foreign), false, at);
        }
        if self.inner().foreign || !block {
            return;
        }
        let ended: &[Group] = match name {
            "li" => &[Group::P, Group::Item],
            "dt" | "dd" => &[Group::P, Group::Definition],
            "td" | "th" => &[Group::Cell],
            "tr" => &[Group::Cell, Group::Row],
            "tbody" | "thead" | "tfoot" => &[Group::Cell, Group::Row, Group::Rows],
            _ => &[Group::P],
        };
        let heading = if self.heading_has_words {
            nearest(self, Group::Heading)
        } else {
            NONE
        };
        let outermost = ended
            .iter()
            .map(|group| nearest(self, *group))
            .fold(heading, usize::min);
        self.close(outermost, false, at);
    }

    /// Opens an element within the innermost one.
    fn open(&mut self, name: &str, tag: &StartTag<usize>) {
        let here = self.open.len();
        let mut open = Open {
            name: name.to_owned(),
            begins: tag.span.start,
            ..self.inner().clone()
        };
        open.left_out |= if self.fragment {
            is(LEFT_OUT_OF_FRAGMENTS, name)
        } else {
            is(LEFT_OUT, name) || is_unseen(tag)
        };
        if open.foreign {
            // These elements of drawings and formulas hold HTML.
            if matches!(name, "foreignobject" | "desc" | "title" | "annotation-xml") {
                open.foreign = false;
                open.nearest = [NONE; 8];
            }
        } else {
            self.heading_has_words &= !is(HEADINGS, name);
            open.enter(name, here);
            open.foreign &= !self.fragment;
        }
        self.by_name.entry(open.name.clone()).or_default().push(here);
        self.open.push(open);
    }

    fn end(&mut self, name: &str, at: usize) {
        if name == "br" {
            // Browsers read this mistake as a line break.
            if !self.inner().left_out {
                self.builder.space();
            }
            return;
        }
        let inner = self.inner();
        let outermost = match name {
            "template" => 0,
            _ if is(TABLE_PARTS, name) => 0,
            "button" | "datalist" | "math" | "object" | "select" | "svg" => inner.scope,
            _ if is(BLOCKS, name) => inner.scope,
            _ => inner.block,
        };
        let same = self.by_name.get(name).and_then(|all| all.last()).copied();
        let meant = match same {
            // The end tag of any heading ends the open heading.
            None if is(HEADINGS, name) => Some(inner.nearest[Group::Heading as usize]),
            other => other,
        };
        if let Some(meant) = meant.filter(|meant| *meant >= outermost) {
            self.close(meant, true, at);
        }
        if is(BLOCKS, name) && !self.inner().left_out {
            let kind = self.inner().kind;
            self.builder.begin(kind);
        }
    }

    /// Ends the element at an index and everything within it at byte `at`. `of_its_own` says that its own end tag does
    /// so.
    fn close(&mut self, index: usize, of_its_own: bool, at: usize) {
        while self.open.len() > index.max(1) {
            let Some(open) = self.open.pop() else { return };
            if let Some(all) = self.by_name.get_mut(&open.name) {
                all.pop();
            }
            let outermost_left_out = open.left_out && !self.inner().left_out;
            let expected = is(END_OMISSIBLE, &open.name) && at < self.text.len();
            let at_end = self.fragment && at == self.text.len() && !is(TO_THE_END, &open.name);
            let closed = of_its_own && self.open.len() == index;
            if outermost_left_out && !(expected || at_end || closed) {
                let name: String = open.name.chars().filter(|c| !c.is_control()).take(20).collect();
                let message = format!(
                    "The <{name}> that begins here has no end tag, so everything up to line {} is left out.",
                    self.line(at)
                );
                self.builder.note(self.line(open.begins), message);
            }
        }
    }

    fn finish(mut self) {
        let behind = self.text.get(self.read..).unwrap_or_default();
        if self.tag_without_end && behind.contains(char::is_alphanumeric) {
            let message = "The tag that begins here has no end, so everything after it is left out.";
            self.builder.note(self.line(self.read), message.to_owned());
        }
        self.close(1, false, self.text.len());
        self.builder.end();
    }
}

/// Whether the attributes of a tag hide its element.
fn is_unseen(tag: &StartTag<usize>) -> bool {
    let attribute = |name: &[u8]| {
        tag.attributes
            .get(name)
            .map(|value| String::from_utf8_lossy(value).to_lowercase())
    };
    let style: String = attribute(b"style").unwrap_or_default().split_whitespace().collect();
    attribute(b"hidden").is_some() || style.contains("display:none") || style.contains("visibility:hidden")
}

impl Open {
    /// Applies the name of an HTML element at index `here` to its text.
    fn enter(&mut self, name: &str, here: usize) {
        let scope = is(SCOPES, name);
        if is(BLOCKS, name) || scope {
            self.block = here;
        }
        if scope {
            self.scope = here;
            let cell = matches!(name, "td" | "th");
            let around_cell = [Group::Cell, Group::Row, Group::Rows].map(|group| (group, self.nearest[group as usize]));
            self.nearest = [NONE; 8];
            for (group, index) in around_cell.into_iter().filter(|_| cell) {
                self.nearest[group as usize] = index;
            }
        }
        let group = match name {
            "p" => Some(Group::P),
            "li" => Some(Group::Item),
            "dt" | "dd" => Some(Group::Definition),
            "td" | "th" => Some(Group::Cell),
            "tr" => Some(Group::Row),
            "tbody" | "thead" | "tfoot" => Some(Group::Rows),
            "svg" | "math" => Some(Group::Foreign),
            _ if is(HEADINGS, name) => Some(Group::Heading),
            _ => None,
        };
        if let Some(group) = group {
            self.nearest[group as usize] = here;
        }
        match name {
            "li" => self.kind = BlockKind::Item,
            "title" => self.kind = BlockKind::Heading,
            "dt" | "dd" | "td" | "th" | "caption" => self.kind = BlockKind::Paragraph,
            "ul" | "ol" | "menu" | "dir" => self.nearest[Group::Item as usize] = NONE,
            "dl" => self.nearest[Group::Definition as usize] = NONE,
            "button" => self.nearest[Group::P as usize] = NONE,
            "svg" | "math" => self.foreign = true,
            _ if is(HEADINGS, name) => self.kind = BlockKind::Heading,
            _ => {}
        }
    }
}

fn is(names: &[&str], name: &str) -> bool {
    names.contains(&name)
}

/// How the content of an element is tokenized. The standard leaves this to the tree builder.
fn state_in(name: &str) -> Option<State> {
    match name {
        "title" | "textarea" => Some(State::RcData),
        "style" | "xmp" | "iframe" | "noembed" | "noframes" | "noscript" => Some(State::RawText),
        "script" => Some(State::ScriptData),
        "plaintext" => Some(State::PlainText),
        _ => None,
    }
}

/// The parts of a line that browsers show. They drop zero bytes, and outside of a title, end tags without a name. The
/// tokenizer leaves both in the text. A reference does not reach across them.
fn shown_parts(line: &str, in_title: bool) -> impl Iterator<Item = &str> {
    let dropped = if in_title { "\0" } else { "</>" };
    line.split(dropped).flat_map(|part| part.split('\0'))
}

/// A part of a line with its references replaced. A reference to a line end becomes a space.
fn decoded(part: &str) -> String {
    let mut tokens = Tokenizer::new(part);
    // In this state, the tokenizer recognises only references.
    tokens.set_state(State::RcData);
    let mut text = String::with_capacity(part.len());
    while let Some(Ok(token)) = tokens.next() {
        if let Token::String(string) = token {
            text.push_str(&String::from_utf8_lossy(&string));
        }
    }
    text.replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::super::tests;
    use super::*;
    use proptest::prelude::*;
    use std::time::{Duration, Instant};

    fn texts(html: &str) -> Vec<String> {
        tests::texts(extract(html))
    }

    fn kinds(html: &str) -> Vec<(String, BlockKind)> {
        tests::kinds(extract(html))
    }

    /// The pieces of all blocks, each with its line.
    fn pieces(prose: &Prose) -> Vec<(&str, usize)> {
        let of = |block: &'_ super::super::Block| block.pieces.clone();
        let all = prose
            .blocks
            .iter()
            .flat_map(|block| of(block).into_iter().map(move |piece| (block, piece)));
        all.map(|(block, piece)| (&block.text[piece.span], piece.line))
            .collect()
    }

    #[test]
    fn blocks_end_at_block_elements_and_have_their_kinds() {
        let html = "<!DOCTYPE html><html><head><title>A hen</title></head><body><h1>The <em>old</em> hen</h1>\
            <p>First.<p>Second.</p>Third.<ul><li>One<li>Two<ul><li>Deep</ul>rest</li></ul>\
            <table><caption>Cap</caption><tr><td>Cell<td>Other</table><dl><dt>Term<dd>Said</dl>\
            <blockquote>Quote</blockquote><ol><li><p>Loose</p></li></ol><figcaption>Fig</figcaption>End";
        use BlockKind::{Heading, Item, Paragraph};
        let expected = [
            ("A hen", Heading),
            ("The old hen", Heading),
            ("First.", Paragraph),
            ("Second.", Paragraph),
            ("Third.", Paragraph),
            ("One", Item),
            ("Two", Item),
            ("Deep", Item),
            ("rest", Item),
            ("Cap", Paragraph),
            ("Cell", Paragraph),
            ("Other", Paragraph),
            ("Term", Paragraph),
            ("Said", Paragraph),
            ("Quote", Paragraph),
            ("Loose", Item),
            ("Fig", Paragraph),
            ("End", Paragraph),
        ];
        assert_eq!(kinds(html), expected.map(|(text, kind)| (text.to_owned(), kind)));
    }

    #[test]
    fn inline_elements_join_words_as_a_browser_does() {
        let html = "<p>un<b>believ</b>able <a href='x y'>li<i>nk</i></a>, <code>cargo run</code> and<br>then <kbd>q</kbd>\
            <span> a</span><span>b</span> so<wbr>fa <!-- no --> ho<!-- x -->us<script>x</script>e <img alt='not me'>.";
        assert_eq!(texts(html), ["unbelievable link, cargo run and then q ab sofa house ."]);
    }

    #[test]
    fn what_is_not_prose_is_left_out() {
        for name in LEFT_OUT.iter().filter(|name| **name != "plaintext") {
            let html = format!("<p>Before</p><{name} id=a>secret <g>x</g></{name}><p>behind</p>");
            assert_eq!(texts(&html), ["Before", "behind"], "{name}");
        }
        let html = "<head><meta content=secret><style>p > a { x }</style><script>if (a < b) '<p>secret</p>'</script></head>\
            <p title=secret>Shown <span hidden>secret <span>s</span> secret</span>too";
        assert_eq!(texts(html), ["Shown too"]);
        assert_eq!(texts("<svg><title/><script/><path/></svg>Text"), ["Text"]);
        assert_eq!(
            texts("<title>a <b> title</title><textarea><p>secret</textarea>Text"),
            ["a <b> title", "Text"]
        );
    }

    #[test]
    fn hidden_elements_end_where_their_omitted_end_tags_were_meant() {
        assert_eq!(texts("<p hidden>secret<p>Shown"), ["Shown"]);
        assert_eq!(
            texts("<ul><li hidden>secret<ul><li>secret</ul>secret<li>Shown</ul>"),
            ["Shown"]
        );
        assert_eq!(texts("<ul><li hidden>secret</ul>Shown"), ["Shown"]);
        assert_eq!(
            texts("<table><tr hidden><td>secret<tr><td hidden>secret<td>Shown</table>"),
            ["Shown"]
        );
        assert_eq!(texts("<dl><dt hidden>secret<dd>Shown</dl>"), ["Shown"]);
        assert_eq!(texts("<b>a<div hidden>secret</b>secret</div>Shown"), ["a", "Shown"]);
    }

    #[test]
    fn references_are_decoded() {
        let html = "<p>Caf&eacute; &amp; th&#233; &#x2014; a&nbsp;b &lt;p&gt; AT&T &unknown; x&ampy 1 < 2";
        assert_eq!(texts(html), ["Café & thé — a b <p> AT&T &unknown; x&y 1 < 2"]);
        assert_eq!(texts("<title>Q&amp;A</title>"), ["Q&A"]);
        assert_eq!(texts("<p>ho\0us\0e&#39;s"), ["house's"]);
    }

    #[test]
    fn lines_are_those_of_the_file() {
        let html = "<p>One\r\ntwo&#10;three&NewLine;four\n<a\nhref=x\n>five</a> si&eacute;\n\nseven &amp\neight\n<!--\n-->nine\rten\n11</p>";
        let prose = extract(html);
        let expected = [
            ("One", 1),
            ("two three four", 2),
            ("five sié", 5),
            ("seven &", 7),
            ("eight", 8),
            ("nine ten", 10),
            ("11", 11),
        ];
        assert_eq!(pieces(&prose), expected);
        assert_eq!(prose.line_unit, LineUnit::Line);
    }

    #[test]
    fn marks_in_comments_exempt_what_follows() {
        let html = "<ul><li>One\n<!-- whowrote: ignore -->two<li>three</ul><!whowrote: ignore><p>four\n<!-- whowrote: forget -->";
        let prose = extract(html);
        let blocks: Vec<_> = prose
            .blocks
            .iter()
            .map(|b| (b.text.as_str(), b.kind, b.ignored))
            .collect();
        let expected = [
            ("One", BlockKind::Item, false),
            ("two", BlockKind::Item, true),
            ("three", BlockKind::Item, false),
            ("four", BlockKind::Paragraph, false),
        ];
        assert_eq!(blocks, expected);
        assert_eq!(prose.notes.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [3]);
    }

    #[test]
    fn unclosed_elements_hide_no_more_than_they_must_and_not_silently() {
        for (html, shown, line) in [
            ("a<div>\n<pre>secret</div>b", vec!["a", "b"], 2),
            ("a<div>\n<span hidden>secret</div>b", vec!["a", "b"], 2),
            ("a\n<svg>secret<p>b", vec!["a", "b"], 2),
            ("a\n<pre>secret", vec!["a"], 2),
            ("a\n<script>secret", vec!["a"], 2),
            ("a\n<!-- secret", vec!["a"], 2),
            ("a\n<b title='secret", vec!["a"], 2),
        ] {
            let prose = extract(html);
            assert_eq!(texts(html), shown, "{html}");
            assert_eq!(prose.notes.len(), 1, "{html}: {:?}", prose.notes);
            assert_eq!(prose.notes[0].0, line, "{html}");
        }
        assert_eq!(
            kinds("<h1>a<p>b<h2><div>c</div></h3>d")
                .iter()
                .map(|(_, kind)| *kind)
                .collect::<Vec<_>>(),
            {
                use BlockKind::{Heading, Paragraph};
                [Heading, Paragraph, Heading, Paragraph]
            }
        );
        assert!(
            extract("<p>a<ul><li>b</ul><table><tr><td hidden>c</table>")
                .notes
                .is_empty()
        );
        assert_eq!(texts("a</p></div></b></table>b"), ["a", "b"]);
        assert_eq!(texts("<title>a</>b</title>c</>d"), ["a</>b", "cd"]);
    }

    #[test]
    fn a_megabyte_of_anything_takes_no_time() {
        // Each takes a tenth to a third of a second when optimised. Quadratic time would take minutes.
        let limit = Duration::from_secs(20);
        let parts = [
            "<",
            "<div>",
            "&",
            "<!--",
            "<a ",
            "<b>",
            "<p>",
            "</p>",
            "<li>",
            "<ul><li>",
            "<table><td>",
            "<svg>",
            "<pre>",
            "<title>",
            "<div hidden>",
            "<b><p>",
            "<h1>a",
            "&#10;",
            "&amp\n",
            "\n&",
            "\r",
            "<!---->",
            "<a a=",
            "<a b a ",
            "<script>",
            "</",
            "<![CDATA[",
            "<script><!--<script>",
            "<div><pre></div>",
            "<button><b><p></p>",
            "<ul><b><li></b>",
            "<?",
            "</b><b>",
            "\0",
            "é",
        ];
        for part in parts {
            let html = part.repeat((1 << 20) / part.len());
            let started = Instant::now();
            extract(&html);
            let took = started.elapsed();
            assert!(took < limit, "{part:?} took {took:?}");
        }
        for (opened, closed) in [
            ("<b>", "<p></p>"),
            ("<ul>", "<li></b>"),
            ("<div>", "</span>"),
            ("<table><td>", "</div><tr>"),
        ] {
            let html = opened.repeat((1 << 19) / opened.len()) + &closed.repeat((1 << 19) / closed.len());
            let started = Instant::now();
            extract(&html);
            let took = started.elapsed();
            assert!(took < limit, "{opened:?} then {closed:?} took {took:?}");
        }
    }

    /// Scraps of HTML in any order.
    fn soup() -> impl Strategy<Value = String> {
        let names =
            BLOCKS
                .iter()
                .chain(LEFT_OUT)
                .chain(VOID)
                .chain(&["b", "a", "span", "foreignobject", "button", "x"]);
        let name = prop::sample::select(names.copied().collect::<Vec<_>>());
        let rest = prop::sample::select(vec![">", " hidden>", "/>", "\n>", " a='b\n'>", " a=\"&amp;\" a>", ""]);
        let part = prop_oneof![
            3 => (name.clone(), rest).prop_map(|(name, rest)| format!("<{name}{rest}")),
            2 => name.prop_map(|name| format!("</{name}>")),
            3 => prop::sample::select(vec![
                "\n", "\r\n", "\r", " ", "&amp;", "&amp", "&", "&#10;", "&#x", "&not", "&notit;", "&NewLine;", "<", "</", "<!--", "-->", "--!>",
                "<!-- whowrote: ignore -->", "<!-- whowrote: ignore-start -->", "<!", "<?", "<![CDATA[", "]]>", "\0", "é", "\u{feff}", "—", ">", "'", "\"",
            ]).prop_map(str::to_owned),
            3 => "[a-z]{1,4} ?",
            1 => "\\PC{0,6}",
        ];
        prop::collection::vec(part, 0..40).prop_map(|parts| parts.concat())
    }

    fn check(html: &str) -> Result<(), TestCaseError> {
        let prose = extract(html);
        let pieces = pieces(&prose);
        let last = html.matches('\n').count() + 1;
        prop_assert!(pieces.iter().all(|(_, line)| (1..=last).contains(line)));
        prop_assert!(pieces.is_sorted_by_key(|(_, line)| *line), "{:?}", pieces);
        prop_assert!(prose.notes.iter().all(|(line, _)| (1..=last).contains(line)));
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 500 } else { 20_000 }))]

        #[test]
        fn any_text_is_read_in_the_order_of_its_lines(html in any::<String>()) {
            check(&html)?;
        }

        #[test]
        fn any_soup_of_tags_is_read_in_the_order_of_its_lines(html in soup()) {
            check(&html)?;
        }

        #[test]
        fn the_tokenizer_tells_where_its_text_stands(html in soup()) {
            let mut emitter = DefaultEmitter::new_with_span();
            emitter.naively_switch_states(true);
            let (mut raw, mut title) = (false, false);
            for token in Tokenizer::new_with_emitter(&html, emitter) {
                let Ok(token) = token;
                match token {
                    Token::StartTag(tag) => {
                        title = matches!(tag.name.as_slice(), b"title" | b"textarea");
                        raw = !title && state_in(&String::from_utf8_lossy(&tag.name)).is_some();
                        prop_assert!(html[tag.span.start..tag.span.end].starts_with('<'));
                        prop_assert!(html[tag.span.start..tag.span.end].ends_with('>'));
                    }
                    Token::EndTag(tag) => {
                        (raw, title) = (false, false);
                        prop_assert!(html[tag.span.start..tag.span.end].starts_with("</"));
                        prop_assert!(html[tag.span.start..tag.span.end].ends_with('>'));
                    }
                    Token::String(string) if !raw => {
                        let source = &html[string.span.start..string.span.end];
                        // The tokenizer makes one line end of two characters, but keeps references as they are.
                        let plain = |text: &str| text.replace(['\r', '\n'], " ").replace(['\0', '\u{fffd}'], "");
                        // All line ends become spaces, because references put line ends into the token too.
                        let line = source.replace("\r\n", "\n").replace(['\r', '\n'], " ");
                        let shown: String = shown_parts(&line, title).map(decoded).collect();
                        prop_assert_eq!(plain(&shown), plain(&String::from_utf8_lossy(&string)));
                    }
                    Token::Comment(comment) => prop_assert!(html[comment.span.start..].starts_with('<')),
                    _ => {}
                }
            }
        }

        #[test]
        fn words_stand_on_the_lines_they_are_said_to(
            parts in prop::collection::vec(
                (prop::sample::select(vec![
                    "<p>", "</p>", "<div>", "</div>", "<li>", "\n", " ", "<b>", "</b>", "<br>", "<!-- a\n -->", "&amp;", " &#10; ", "\r\n", "<h2>",
                    "<pre>code\n</pre>", "<a href='\n'>", "</a>", "<td>", "é&nbsp;", "<script>\n'<p>'</script>", "&amp\n",
                ]), "[A-Z]{1,3}"),
                1..60,
            )
        ) {
            // Each word has a number, so that it can be found again. A space before it keeps references away.
            let words: Vec<String> = parts.iter().zip(1..).map(|((_, word), number)| format!("{word}{number}")).collect();
            let html: String = parts.iter().zip(&words).map(|((markup, _), word)| format!("{markup} {word}")).collect();
            let line_of = |word: &str| html[..html.find(&format!(" {word}")).unwrap_or(0)].matches('\n').count() + 1;
            let prose = extract(&html);
            let mut found = Vec::new();
            for (piece, line) in pieces(&prose) {
                for word in piece.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()) {
                    prop_assert!(html.lines().nth(line - 1).is_some_and(|text| text.contains(word)), "{} on {}", word, line);
                    found.push((word.to_owned(), line));
                }
            }
            let expected: Vec<(String, usize)> = words.iter().map(|word| (word.clone(), line_of(word))).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
