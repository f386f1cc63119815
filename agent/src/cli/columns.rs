//! Rows under headlines, as wide as what is in them: how every table of this command looks.

use jiff::Timestamp;

use super::paint::{Paint, Tone};

/// One column: its headline, whether numbers stand right, and what it shows.
pub struct Column<T> {
    /// The headline.
    pub title: &'static str,
    /// Whether what it shows stands right.
    pub right: bool,
    /// What it shows of a row.
    pub cell: fn(&T, Timestamp) -> String,
}

/// A column of words.
pub const fn column<T>(title: &'static str, cell: fn(&T, Timestamp) -> String) -> Column<T> {
    Column {
        title,
        right: false,
        cell,
    }
}

/// A headline, and a line for each row. `tone` says how a column of a row is to look, by the column's headline.
pub fn render<T>(
    columns: &[&Column<T>],
    rows: &[T],
    now: Timestamp,
    paint: Paint,
    tone: impl Fn(&str, &T) -> Option<Tone>,
) -> String {
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| columns.iter().map(|column| (column.cell)(row, now)).collect())
        .collect();
    let widths: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(index, column)| {
            cells
                .iter()
                .map(|row| row[index].chars().count())
                .chain([column.title.len()])
                .max()
                .unwrap_or(0)
        })
        .collect();

    let mut text = String::new();
    let titles: Vec<String> = columns.iter().map(|column| column.title.to_owned()).collect();
    write_row(&mut text, &titles, columns, &widths, paint, |_| None);
    for (row, cells) in rows.iter().zip(&cells) {
        write_row(&mut text, cells, columns, &widths, paint, |index| {
            tone(columns[index].title, row)
        });
    }
    text
}

fn write_row<T>(
    text: &mut String,
    cells: &[String],
    columns: &[&Column<T>],
    widths: &[usize],
    paint: Paint,
    tone: impl Fn(usize) -> Option<Tone>,
) {
    let start = text.len();
    for (index, cell) in cells.iter().enumerate() {
        if index > 0 {
            text.push_str("  ");
        }
        // Padding is counted without the colour's bytes.
        let padding = " ".repeat(widths[index].saturating_sub(cell.chars().count()));
        let painted = tone(index).map_or_else(|| cell.clone(), |tone| paint.paint(tone, cell));
        let (before, after) = if columns[index].right {
            (padding.as_str(), "")
        } else {
            ("", padding.as_str())
        };
        text.push_str(before);
        text.push_str(&painted);
        text.push_str(after);
    }
    text.truncate(start + text[start..].trim_end().len());
    text.push('\n');
}
