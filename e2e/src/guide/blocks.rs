//! The fenced blocks of a Markdown text, each with what stands around it.

/// A fenced block.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Block {
    /// The number of the line with its opening fence.
    pub line: usize,
    /// The nearest heading above it.
    pub heading: String,
    /// The paragraph before it in one line, if there is one since the block or the heading before.
    pub lead: String,
    /// What is in it.
    pub text: String,
}

/// All of them, from top to bottom.
pub(super) fn blocks(markdown: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let (mut heading, mut lead) = (String::new(), Vec::new());
    // Whether the next line of text begins a new paragraph.
    let mut apart = true;
    let mut lines = markdown.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        if line.starts_with("```") {
            let text: Vec<&str> = lines
                .by_ref()
                .map(|(_, line)| line)
                .take_while(|line| !line.starts_with("```"))
                .collect();
            found.push(Block {
                line: number + 1,
                heading: heading.clone(),
                lead: lead.join(" "),
                text: text.iter().flat_map(|line| [line, "\n"]).collect(),
            });
            lead.clear();
        } else if let Some(title) = line.strip_prefix('#') {
            title.trim_start_matches('#').trim().clone_into(&mut heading);
            lead.clear();
        } else if line.trim().is_empty() {
            apart = true;
        } else if !line.starts_with("<!--") {
            if apart {
                lead.clear();
            }
            apart = false;
            lead.push(line.trim());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_has_the_heading_above_it_and_the_paragraph_that_leads_to_it() {
        let text = "# A guide\n\nFirst this.\n\nOn `a`, as\n`file.yaml`:\n\n<!-- generated: file.yaml -->\n```yaml\n# a comment\n\
                    key: value\n```\n<!-- /generated -->\n\n```sh\nrun file.yaml\n```\n\n## Next\n\n```sh\nmore\n```\n";
        let block = |line, heading: &str, lead: &str, text: &str| Block {
            line,
            heading: heading.to_owned(),
            lead: lead.to_owned(),
            text: text.to_owned(),
        };
        assert_eq!(
            blocks(text),
            [
                block(
                    9,
                    "A guide",
                    "On `a`, as `file.yaml`:",
                    "# a comment\nkey: value\n"
                ),
                block(15, "A guide", "", "run file.yaml\n"),
                block(21, "Next", "", "more\n"),
            ]
        );
    }
}
