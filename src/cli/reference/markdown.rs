//! Pages of Markdown.

/// A page that is being written.
pub(super) struct Page(String);

impl Page {
    /// A page with this title, which says that it is not written by hand.
    pub(super) fn new(title: &str) -> Page {
        Page(format!(
            "<!-- Written by `cargo run -- reference docs`: change the code instead. -->\n\n# {title}\n"
        ))
    }

    /// With a heading of the second level.
    pub(super) fn heading(mut self, heading: &str) -> Page {
        self.0.push_str(&format!("\n## {heading}\n"));
        self
    }

    /// With a paragraph of Markdown.
    pub(super) fn paragraph(mut self, text: &str) -> Page {
        self.0.push_str(&format!("\n{text}\n"));
        self
    }

    /// With a block of text that stays as it is.
    pub(super) fn block(mut self, text: &str) -> Page {
        self.0.push_str(&format!("\n```text\n{}\n```\n", text.trim_end()));
        self
    }

    /// With a table. Its cells are Markdown: see [`code`] and [`prose`].
    pub(super) fn table<const N: usize>(
        mut self,
        head: [&str; N],
        rows: impl IntoIterator<Item = [String; N]>,
    ) -> Page {
        let cell = |cell: &str| if cell.is_empty() { " |".to_owned() } else { format!(" {cell} |") };
        let line = |cells: [&str; N]| format!("|{}\n", cells.map(cell).concat());
        self.0.push_str(&format!("\n{}{}", line(head), line(["---"; N])));
        for row in rows {
            self.0.push_str(&line(row.each_ref().map(String::as_str)));
        }
        self
    }

    /// The text of it.
    pub(super) fn finish(self) -> String {
        self.0
    }
}

/// A cell that shows something as it is written; none holds a backtick.
pub(super) fn code(text: &str) -> String {
    format!("`{}`", text.replace('|', "\\|"))
}

/// A cell that shows sentences, in which no character means anything else.
pub(super) fn prose(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '<' => escaped.push_str("&lt;"),
            '|' | '*' | '[' | ']' => escaped.extend(['\\', character]),
            _ => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_survives_what_stands_in_its_cells() {
        let page =
            Page::new("T").table(["a", "b"], [[code("x|y"), prose("<b> | *c*")], [code("z"), String::new()]]);
        let expected = "| a | b |\n| --- | --- |\n| `x\\|y` | &lt;b> \\| \\*c\\* |\n| `z` | |\n";
        assert_eq!(page.finish().split_once("# T\n\n").map(|(_, table)| table), Some(expected));
    }
}
