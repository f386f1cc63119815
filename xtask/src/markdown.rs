//! Reads from Markdown what links are made of, their targets and the anchors that they may name, and rewrites links.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

/// What matters about one Markdown file.
#[derive(Default, Debug)]
pub struct Document {
    /// The links in it, in order.
    pub links: Vec<Link>,
    /// What a link to this file may name after `#`.
    pub anchors: HashSet<String>,
}

/// One link.
#[derive(Debug)]
pub struct Link {
    /// Counted from 1.
    pub line: usize,
    /// As written, but for title and angle brackets.
    pub target: String,
}

impl Document {
    /// Reads as much Markdown as links need: code is left out, reference definitions are links too.
    pub fn parse(text: &str) -> Self {
        let mut document = Self::default();
        let mut headings: HashMap<String, usize> = HashMap::new();
        let blanked = without_code(text);
        for (index, (line, prose)) in text.lines().zip(blanked.lines()).enumerate() {
            if let Some(heading) = heading_of(line).filter(|_| prose.starts_with('#')) {
                let slug = slug(heading);
                let seen = headings.entry(slug.clone()).or_default();
                document.anchors.insert(if *seen == 0 {
                    slug
                } else {
                    format!("{slug}-{seen}")
                });
                *seen += 1;
            }
            document.anchors.extend(explicit_anchors(prose));
            let targets = inline_targets(prose).into_iter().chain(definition_target(prose));
            document.links.extend(targets.map(|target| Link {
                line: index + 1,
                target,
            }));
        }
        document
    }
}

/// The run of backticks or tildes that opens a code block.
fn fence_of(line: &str) -> Option<&str> {
    let line = line.trim_start();
    ['`', '~'].into_iter().find_map(|mark| {
        let length = line.len() - line.trim_start_matches(mark).len();
        (length >= 3).then(|| &line[..length])
    })
}

fn is_closing(line: &str, open: &str) -> bool {
    fence_of(line).is_some_and(|close| close.starts_with(open) && line.trim() == close)
}

fn heading_of(line: &str) -> Option<&str> {
    let text = line.trim_start_matches('#');
    let level = line.len() - text.len();
    ((1..=6).contains(&level) && text.starts_with(' ')).then(|| text.trim().trim_end_matches('#').trim_end())
}

/// The anchor that a heading gets where Markdown is shown: lower case, hyphens for spaces, no punctuation.
fn slug(heading: &str) -> String {
    let mut text = String::new();
    let mut rest = heading;
    // Of a link in a heading, only the text counts.
    while let Some((before, after)) = rest.split_once("](") {
        text.push_str(before);
        rest = after.split_once(')').map_or("", |(_, after)| after);
    }
    text.push_str(rest);
    let kept = text.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.flat_map(char::to_lowercase)
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

/// `text` with all code blanked, in which brackets are no links; every other byte stays where it is.
fn without_code(text: &str) -> String {
    let mut prose = String::with_capacity(text.len());
    let mut fence: Option<&str> = None;
    for line in text.split_inclusive('\n') {
        let opened = fence_of(line);
        match (fence, opened) {
            (Some(open), _) => {
                if is_closing(line, open) {
                    fence = None;
                }
                blank(line, &mut prose);
            }
            (None, Some(_)) => {
                fence = opened;
                blank(line, &mut prose);
            }
            (None, None) => without_code_spans(line, &mut prose),
        }
    }
    prose
}

fn without_code_spans(line: &str, prose: &mut String) {
    let mut rest = line;
    while let Some(start) = rest.find('`') {
        let ticks = rest[start..].len() - rest[start..].trim_start_matches('`').len();
        let (before, after) = (&rest[..start], &rest[start + ticks..]);
        let Some(length) = after.find(&rest[start..start + ticks]) else {
            break;
        };
        let end = start + ticks + length + ticks;
        prose.push_str(before);
        blank(&rest[start..end], prose);
        rest = &rest[end..];
    }
    prose.push_str(rest);
}

fn blank(code: &str, prose: &mut String) {
    prose.extend(code.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }));
}

/// What is to become of a link.
pub enum Rewrite {
    /// What it is.
    Keep,
    /// A link to something else.
    Target(String),
    /// Its text alone, and in parentheses this name unless the text has it.
    Name(String),
}

/// A link or a picture in a text.
pub struct Place<'t> {
    /// As written, but for title and angle brackets.
    pub target: &'t str,
    /// Whether it is shown instead of followed.
    pub is_picture: bool,
}

/// `text` with each `[text](target)` and `![text](target)` outside code as `rewrite` says.
pub fn rewrite_links(text: &str, mut rewrite: impl FnMut(&Place<'_>) -> Rewrite) -> String {
    let prose = without_code(text);
    let mut edits: Vec<(Range<usize>, String)> = Vec::new();
    let mut at = 0;
    while let Some(found) = prose[at..].find("](") {
        let middle = at + found;
        let inside = middle + 2;
        at = inside;
        let (Some(open), Some(length)) = (opening(&prose[..middle]), closing(&prose[inside..])) else {
            continue;
        };
        let Some(target) = bare_target(&prose[inside..inside + length]) else {
            continue;
        };
        let is_picture = prose[..open].ends_with('!');
        match rewrite(&Place { target, is_picture }) {
            Rewrite::Keep => {}
            Rewrite::Target(new) => {
                let start = inside + prose[inside..].find(target).unwrap_or_default();
                edits.push((start..start + target.len(), new));
            }
            Rewrite::Name(name) => {
                let known = text[open..middle].contains(&name);
                edits.push((open..open + 1, String::new()));
                let name = if known {
                    String::new()
                } else {
                    format!(" (`{name}`)")
                };
                edits.push((middle..inside + length + 1, name));
            }
        }
    }
    edits.sort_by_key(|(range, _)| range.start);
    let mut new = String::with_capacity(text.len());
    let mut copied = 0;
    for (range, replacement) in edits {
        new.push_str(&text[copied..range.start]);
        new.push_str(&replacement);
        copied = range.end;
    }
    new + &text[copied..]
}

/// Where the bracket is that the end of `text` lies in.
fn opening(text: &str) -> Option<usize> {
    let mut depth = 0_u32;
    text.char_indices().rev().find_map(|(index, c)| match c {
        '[' if depth == 0 => Some(index),
        '[' => {
            depth -= 1;
            None
        }
        ']' => {
            depth += 1;
            None
        }
        _ => None,
    })
}

/// Where the parenthesis is closed that `text` begins in.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_u32;
    text.char_indices().find_map(|(index, c)| match c {
        '(' => {
            depth += 1;
            None
        }
        ')' if depth == 0 => Some(index),
        ')' => {
            depth -= 1;
            None
        }
        _ => None,
    })
}

/// The targets of `[text](target)` and `![text](target "title")`.
fn inline_targets(line: &str) -> Vec<String> {
    let mut targets = Vec::new();
    let mut rest = line;
    while let Some((_, after)) = rest.split_once("](") {
        let Some(end) = closing(after) else { break };
        targets.extend(bare_target(&after[..end]).map(str::to_owned));
        rest = &after[end..];
    }
    targets
}

/// The target of `[label]: target`.
fn definition_target(line: &str) -> Option<String> {
    let (label, target) = line.trim_start().strip_prefix('[')?.split_once("]:")?;
    if label.contains(']') {
        return None;
    }
    bare_target(target).map(str::to_owned)
}

/// A target without the title that may follow it or the angle brackets that may enclose it.
fn bare_target(target: &str) -> Option<&str> {
    let target = target.trim();
    match target.strip_prefix('<') {
        Some(enclosed) => enclosed.split('>').next(),
        None => target.split_whitespace().next(),
    }
}

/// The values of `id="…"` and `name="…"` in HTML.
fn explicit_anchors(line: &str) -> Vec<String> {
    let values = [" id=\"", " name=\""]
        .into_iter()
        .flat_map(|attribute| line.split(attribute).skip(1));
    values
        .filter_map(|rest| rest.split_once('"'))
        .map(|(value, _)| value.to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(text: &str) -> Vec<(usize, String)> {
        Document::parse(text)
            .links
            .into_iter()
            .map(|link| (link.line, link.target))
            .collect()
    }

    fn at(line: usize, target: &str) -> (usize, String) {
        (line, target.to_owned())
    }

    #[test]
    fn links_in_code_are_not_links() {
        assert_eq!(
            targets("`[x](a.md)`\n```\n[y](b.md)\n```\n    ~~~\n[z](c.md)\n    ~~~"),
            []
        );
    }

    #[test]
    fn a_fence_is_closed_only_by_one_as_long() {
        assert_eq!(targets("````\n```\n[y](a.md)\n```\n````"), []);
        assert_eq!(targets("```\n```\n[y](a.md)"), [at(3, "a.md")]);
    }

    #[test]
    fn titles_brackets_images_and_definitions_are_understood() {
        let text = "![p](a.md \"title\") [q](<b.md>) [r](c(1).md)\n\n[s]: d.md\n";
        assert_eq!(
            targets(text),
            [at(1, "a.md"), at(1, "b.md"), at(1, "c(1).md"), at(3, "d.md")]
        );
    }

    #[test]
    fn headings_become_the_anchors_that_readers_click() {
        assert_eq!(
            slug("`make test` & friends: a [map](x.md)"),
            "make-test--friends-a-map"
        );
        let document = Document::parse("# Same\n## Same\ntext <a id=\"kept\"></a>");
        assert_eq!(
            document.anchors,
            ["same", "same-1", "kept"].map(String::from).into()
        );
    }
    fn rewritten(text: &str) -> String {
        rewrite_links(text, |link| match link.target {
            "old.md" => Rewrite::Target("new.md".to_owned()),
            "file.rs" if !link.is_picture => Rewrite::Name("file.rs".to_owned()),
            _ => Rewrite::Keep,
        })
    }

    #[test]
    fn a_link_is_rewritten_where_it_leads_and_nowhere_else() {
        assert_eq!(
            rewritten("[old.md](old.md \"old.md\") [b](b.md)"),
            "[old.md](new.md \"old.md\") [b](b.md)"
        );
        assert_eq!(
            rewritten("`[x](old.md)`\n```\n[x](old.md)\n```\n"),
            "`[x](old.md)`\n```\n[x](old.md)\n```\n"
        );
        assert_eq!(
            rewritten("[over two\nlines](old.md)"),
            "[over two\nlines](new.md)"
        );
    }

    #[test]
    fn a_link_can_become_the_name_of_what_it_led_to() {
        assert_eq!(
            rewritten("[the `x` file](file.rs), [y](b.md)"),
            "the `x` file (`file.rs`), [y](b.md)"
        );
        assert_eq!(rewritten("[`file.rs`](file.rs)"), "`file.rs`");
        assert_eq!(rewritten("![file.rs](file.rs)"), "![file.rs](file.rs)");
    }

    #[test]
    fn a_picture_that_is_a_link_is_two() {
        assert_eq!(rewritten("[![p](old.md)](file.rs)"), "![p](new.md) (`file.rs`)");
    }
}
