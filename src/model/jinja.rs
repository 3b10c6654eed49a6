//! Renders a chat template as Hugging Face transformers renders it.
//!
//! A template comes from outside. It can only render, and only a bounded number of steps.
//!
//! transformers adds three things to Jinja: `raise_exception`, `strftime_now`, and `generation` blocks.

use chrono::{DateTime, Utc};
use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior, Value};
use std::borrow::Cow;
use std::fmt::Write;
use whowrote_input::catch_panic;

/// The number of steps that a template may take. Templates of real models take a few hundred for one turn.
const FUEL: u64 = 100_000;
/// The largest template, in bytes. Templates of real models have up to twenty thousand.
const MAX_BYTES: usize = 1 << 16;
/// The most bytes that a template may render.
const MAX_RENDERED_BYTES: usize = 1 << 20;
/// The longest format of a date, in bytes.
const MAX_FORMAT_BYTES: usize = 1 << 8;
/// The stack for a template. minijinja parses, compiles and runs a template by recursion, which takes at most a few
/// kilobytes for each byte of the template.
const STACK_BYTES: usize = 512 << 20;

/// Renders a template with these variables. `now` is the time that the template sees.
///
/// # Errors
/// When the template fails, refuses the variables, or takes too long.
pub(super) fn render(source: &str, variables: Value, now: DateTime<Utc>) -> Result<String, Error> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
        match thread.spawn_scoped(scope, || catch_panic(|| render_here(source, variables, now))) {
            Err(error) => Err(failed(error.to_string())),
            Ok(thread) => match thread.join() {
                Ok(Ok(rendered)) => rendered,
                Ok(Err(panic)) => Err(failed(panic)),
                Err(panic) => std::panic::resume_unwind(panic),
            },
        }
    })
}

fn failed(why: String) -> Error {
    Error::new(ErrorKind::InvalidOperation, why)
}

fn render_here(source: &str, variables: Value, now: DateTime<Utc>) -> Result<String, Error> {
    if source.len() > MAX_BYTES {
        return Err(failed("it is longer than any template".to_owned()));
    }
    let mut environment = Environment::new();
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(64);
    environment.set_undefined_behavior(UndefinedBehavior::Lenient);
    // The settings of transformers.
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?;
    environment.set_syntax(syntax);
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    environment.add_function("raise_exception", |message: String| -> Result<String, Error> {
        Err(failed(format!("it says: {message}")))
    });
    environment.add_function("strftime_now", move |format: String| date(now, &format));
    let rendered = environment.render_str(&without_generation_blocks(source), variables)?;
    if rendered.len() <= MAX_RENDERED_BYTES {
        Ok(rendered)
    } else {
        Err(failed("it writes more than any prompt".to_owned()))
    }
}

/// The time in Python's format for dates.
fn date(now: DateTime<Utc>, format: &str) -> Result<String, Error> {
    let mut date = String::new();
    // Writing fails if the format is not a format.
    if format.len() > MAX_FORMAT_BYTES || write!(date, "{}", now.format(format)).is_err() {
        return Err(failed("it asks for a date in an unknown format".to_owned()));
    }
    Ok(date)
}

/// The template without `generation` blocks. These mark what the model writes, for its training, and render as what is
/// in them. Each becomes a `with` block, which has a scope of its own, too.
fn without_generation_blocks(source: &str) -> Cow<'_, str> {
    if !source.contains("endgeneration") {
        return source.into();
    }
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    let mut raw = false;
    while let Some(at) = next_tag(rest) {
        let (before, tag_and_rest) = rest.split_at(at);
        out.push_str(before);
        let length = match &tag_and_rest[..2] {
            // In a raw block only its own end is a tag.
            "{%" if raw => tag_and_rest.find("%}").map(|end| end + 2),
            _ if raw => Some(2),
            "{#" => tag_and_rest.find("#}").map(|end| end + 2),
            "{%" => end_of_code(tag_and_rest, "%}"),
            _ => end_of_code(tag_and_rest, "}}"),
        };
        let (tag, after) = tag_and_rest.split_at(length.unwrap_or(tag_and_rest.len()));
        rest = after;
        let within = tag.strip_prefix("{%").and_then(|tag| tag.strip_suffix("%}"));
        let word = within.unwrap_or_default().trim_matches(['-', '+']).trim();
        match word {
            "endraw" if raw => raw = false,
            "raw" => raw = true,
            "generation" if !raw => {
                out.push_str(&tag.replacen("generation", "with", 1));
                continue;
            }
            "endgeneration" if !raw => {
                out.push_str(&tag.replacen("endgeneration", "endwith", 1));
                continue;
            }
            // What only looks like a tag can hide the end of the raw block.
            _ if raw => {
                out.push_str(&tag[..2]);
                rest = &tag_and_rest[2..];
                continue;
            }
            _ => {}
        }
        out.push_str(tag);
    }
    out.push_str(rest);
    out.into()
}

/// Where the next tag, expression or comment begins.
fn next_tag(text: &str) -> Option<usize> {
    let opens = |(at, _): &(usize, &str)| matches!(text.as_bytes().get(at + 1), Some(b'%' | b'{' | b'#'));
    text.match_indices('{').find(opens).map(|(at, _)| at)
}

/// Where code ends, behind the mark that closes it. Marks in strings close nothing.
fn end_of_code(code: &str, close: &str) -> Option<usize> {
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in code.char_indices().skip(2) {
        match (quote, c) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(open), _) if open == c => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, _) if code[at..].starts_with(close) => return Some(at + close.len()),
            (None, _) => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use minijinja::context;

    fn day() -> DateTime<Utc> {
        "2025-07-09T12:00:00Z".parse().unwrap()
    }

    fn rendered(source: &str, system: bool) -> Result<String, Error> {
        let user = context! { role => "user", content => "U" };
        let mut messages = vec![context! { role => "system", content => "S" }, user];
        if !system {
            messages.remove(0);
        }
        let variables = context! {
            messages,
            tools => (),
            add_generation_prompt => true,
            bos_token => "<bos>",
            eos_token => "<eos>",
        };
        render(source, variables, day())
    }

    /// The expected texts are Jinja2's, with transformers' settings and extension.
    #[test]
    fn templates_render_as_transformers_renders_them() {
        let smollm3 = include_str!("../../tests/golden/like-smollm3.jinja");
        let end = "<|im_end|>\n<|im_start|>user\nU<|im_end|>\n\n{% generation %} in a text, and inside\nx/think\
                   {% generation %}<|im_start|>assistant\n";
        let begin = "<|im_start|>system\n## Metadata\n\nToday Date: 09 July 2025\nReasoning Mode: /think\n\n";
        assert_eq!(
            rendered(smollm3, false).unwrap(),
            format!("{begin}You are a helpful assistant.\n\n{end}")
        );
        assert_eq!(rendered(smollm3, true).unwrap(), format!("{begin}S\n\n{end}"));
        let mistral = include_str!("../../tests/golden/like-mistral-small.jinja");
        assert_eq!(
            rendered(mistral, false).unwrap(),
            "<bos>[SYSTEM_PROMPT]You are Mistral Small 3, a Large Language Model (LLM) created by Mistral AI.\nThe \
             current date is 2025-07-09.\n[/SYSTEM_PROMPT][INST]U[/INST]"
        );
        assert_eq!(
            rendered(mistral, true).unwrap(),
            "<bos>[SYSTEM_PROMPT]S[/SYSTEM_PROMPT][INST]U[/INST]"
        );
    }

    /// Jinja2's extension for loops, which transformers switches on.
    #[test]
    fn loops_may_be_left_and_go_on() {
        let source = "{% for message in messages %}{% if message.role == 'system' %}{% continue %}{% endif %}{{ message.content }}\
                      {% break %}x{% endfor %}";
        assert_eq!(rendered(source, true).unwrap(), "U");
    }

    #[test]
    fn only_tags_of_generation_blocks_change() {
        for same in [
            "{# {% generation %} #}{{ '{% endgeneration %}' }}",
            "{% raw %}{% generation %}{{ {% endgeneration %}{% endraw %}",
            "{% raw %}{# {% endraw %}{% if endgeneration %}{% endif %}",
            "{% set generation = 1 %}{{ generation }}{% endgeneration",
            "{% set x = 'endgeneration %}' %} \u{e9} {",
        ] {
            assert_eq!(without_generation_blocks(same), same);
        }
        assert_eq!(
            without_generation_blocks("{ {%-generation+%}a{% set x = \"\\\"%}\" %}{%+  endgeneration -%}"),
            "{ {%-with+%}a{% set x = \"\\\"%}\" %}{%+  endwith -%}"
        );
    }

    #[test]
    fn a_date_in_an_unknown_format_is_an_error() {
        for format in ["%Q", "%", "%d".repeat(200).as_str()] {
            let said = rendered(&format!("{{{{ strftime_now('{format}') }}}}"), false).unwrap_err();
            assert!(said.to_string().contains("unknown format"), "{format}: {said}");
        }
    }
}
