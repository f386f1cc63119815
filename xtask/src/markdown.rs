//! Reads from Markdown what links are made of: their targets, and the anchors that they may name.

use std::collections::{HashMap, HashSet};

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
        let mut fence: Option<&str> = None;
        for (index, line) in text.lines().enumerate() {
            if let Some(open) = fence {
                if is_closing(line, open) {
                    fence = None;
                }
                continue;
            }
            fence = fence_of(line);
            if fence.is_some() {
                continue;
            }
            if let Some(heading) = heading_of(line) {
                let slug = slug(heading);
                let seen = headings.entry(slug.clone()).or_default();
                document.anchors.insert(if *seen == 0 {
                    slug
                } else {
                    format!("{slug}-{seen}")
                });
                *seen += 1;
            }
            let prose = without_code(line);
            document.anchors.extend(explicit_anchors(&prose));
            let targets = inline_targets(&prose)
                .into_iter()
                .chain(definition_target(&prose));
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

/// `line` with its code spans blanked, in which brackets are no links.
fn without_code(line: &str) -> String {
    let mut prose = String::new();
    let mut rest = line;
    while let Some(start) = rest.find('`') {
        let ticks = rest[start..].len() - rest[start..].trim_start_matches('`').len();
        let (before, after) = (&rest[..start], &rest[start + ticks..]);
        let Some(end) = after.find(&rest[start..start + ticks]) else {
            break;
        };
        prose.push_str(before);
        rest = &after[end + ticks..];
    }
    prose.push_str(rest);
    prose
}

/// The targets of `[text](target)` and `![text](target "title")`.
fn inline_targets(line: &str) -> Vec<String> {
    let mut targets = Vec::new();
    let mut rest = line;
    while let Some((_, after)) = rest.split_once("](") {
        let mut depth = 0_u32;
        let end = after.char_indices().find_map(|(index, c)| match c {
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
        });
        let Some(end) = end else { break };
        targets.extend(bare_target(&after[..end]));
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
    bare_target(target)
}

/// A target without the title that may follow it or the angle brackets that may enclose it.
fn bare_target(target: &str) -> Option<String> {
    let target = target.trim();
    let bare = match target.strip_prefix('<') {
        Some(enclosed) => enclosed.split('>').next()?,
        None => target.split_whitespace().next()?,
    };
    Some(bare.to_owned())
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
}
