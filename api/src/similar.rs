//! Guesses which name was meant by one that does not exist.

/// The most similar of the known names, if any is similar enough to have been meant.
pub(crate) fn closest<'a>(written: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .filter(|known| alike(written, known))
        .min_by_key(|known| distance(&plain(written), &plain(known)))
}

/// Whether two names differ at most in how languages write names.
pub(crate) fn same_word(a: &str, b: &str) -> bool {
    plain(a) == plain(b)
}

/// Whether one name may be a typo of the other.
pub(crate) fn alike(a: &str, b: &str) -> bool {
    let (a, b) = (plain(a), plain(b));
    distance(&a, &b) <= (a.len().max(b.len()) / 4).max(1)
}

/// A name without what languages differ in: `virtual_router_id` and `virtualRouterID` are the same word.
fn plain(name: &str) -> Vec<char> {
    name.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .take(64)
        .collect()
}

/// How many characters have to be added, removed, replaced or swapped with the next to get from `a` to `b`.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut rows = vec![(0..=b.len()).collect::<Vec<usize>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}
