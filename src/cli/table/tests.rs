use super::*;

fn table() -> Table {
    let mut table =
        Table::new([Column::text("NUMBER"), Column::number("KEYS"), Column::long("JOB"), Column::text("MODE")]);
    table.row(["1", "12", "spend-per-user", "elided"]);
    table.row(["42", "1,234,567", "a\u{1b}[31m\nb", "scheduled"]);
    table
}

#[test]
fn columns_are_aligned_and_lines_end_with_their_text() {
    assert_eq!(
        table().render(Look::default()),
        [
            "NUMBER       KEYS  JOB             MODE",
            "1              12  spend-per-user  elided",
            "42      1,234,567  a\\u{1b}[31m\\nb  scheduled",
        ]
    );
}

#[test]
fn a_narrow_terminal_cuts_long_columns_only() {
    let look = Look { color: false, width: Some(40) };
    assert_eq!(
        table().render(look),
        [
            "NUMBER       KEYS  JOB         MODE",
            "1              12  spend-per…  elided",
            "42      1,234,567  a\\u{1b}[3…  scheduled",
        ]
    );
    let wide = Look { color: false, width: Some(200) };
    assert_eq!(table().render(wide), table().render(Look::default()));
}

#[test]
fn no_width_makes_it_fail_and_only_long_columns_are_cut() {
    for width in 0..60 {
        let lines = table().render(Look { color: false, width: Some(width) });
        assert_eq!(lines.len(), 3, "{width}");
        assert!(lines[2].starts_with("42      1,234,567  "), "{width}: {lines:?}");
        assert!(lines[2].ends_with("  scheduled"), "{width}: {lines:?}");
    }
}

#[test]
fn the_header_is_bold_only_with_color() {
    let lines = table().render(Look { color: true, width: None });
    assert!(lines[0].contains("\u{1b}[1mNUMBER"), "{lines:?}");
    assert!(!lines[1].contains('\u{1b}'));
    assert!(!table().render(Look::default())[0].contains('\u{1b}'));
}

#[test]
fn a_table_without_rows_is_its_header() {
    let empty = Table::new([Column::text("A"), Column::number("B")]);
    assert!(empty.is_empty());
    assert_eq!(empty.render(Look::default()), ["A  B"]);
}

#[test]
fn names_are_shortened_in_the_middle_and_stay_different() {
    let render = |names: &[&str], width: u16| {
        let mut table = Table::new([Column::name("NAME"), Column::number("BYTES")]);
        names.iter().for_each(|name| table.row([name, "1"]));
        table.render(Look { color: false, width: Some(width) })
    };
    let lines = render(&["data/of/the/site/part-0.jsonl", "data/of/the/site/part-1.jsonl", "b"], 24);
    assert_eq!(
        lines,
        [
            "NAME               BYTES",
            "data/of/…-0.jsonl      1",
            "data/of/…-1.jsonl      1",
            "b                      1"
        ]
    );
    // Where the middle differs, another part is left out.
    let ends = ["0123456789-0-aaaaaaaaaaaaaaaaaaa", "0123456789-1-aaaaaaaaaaaaaaaaaaa"];
    assert_eq!(render(&ends, 24)[1], "0123456789-0-aaa…      1");
    let starts = ["aaaaaaaaaaaaaaaaaaa-0-0123456789", "aaaaaaaaaaaaaaaaaaa-1-0123456789"];
    assert_eq!(render(&starts, 24)[1], "…aaa-0-0123456789      1");
    // A name that no part of this width tells apart is shown whole.
    let middle = ["a".repeat(40) + "0" + &"a".repeat(40), "a".repeat(40) + "1" + &"a".repeat(40)];
    assert!(render(&[&middle[0], &middle[1]], 24)[2].starts_with(&middle[1]));
    assert_eq!(render(&["東京東京東京東京東京"], 16)[1], "東京…東京      1");
}

#[test]
fn one_long_cell_makes_only_its_own_line_long() {
    let mut table = Table::new([Column::name("KEY"), Column::number("COUNT"), Column::number("SUM")]);
    table.row(["k".repeat(3000).as_str(), "1", "2"]);
    table.row(["a", "3", "4"]);
    let lines = table.render(Look::default());
    assert_eq!(lines[1], "k".repeat(3000) + "      1    2");
    assert_eq!(lines[2].len(), 112, "{}", lines[2]);
}

#[test]
fn optional_columns_are_left_out_where_they_do_not_fit() {
    let mut table = Table::new([Column::text("A"), Column::number("B").optional(), Column::number("C").optional()]);
    table.row(["one", "two", "three"]);
    let render = |width| table.render(Look { color: false, width })[1].clone();
    assert_eq!(render(None), "one  two  three");
    assert_eq!([15, 14, 8, 7].map(|width| render(Some(width))), ["one  two  three", "one  two", "one  two", "one"]);
}

#[test]
fn a_wrapped_column_continues_below_itself_and_loses_nothing() {
    let mut table = Table::new([Column::number("N"), Column::text("WHEN").optional(), Column::wrapped("OUTCOME")]);
    let long = "failed: cannot write `a/b`: no space is left on that device, which is a disk";
    table.row(["1", "now", "fine"]);
    table.row(["2", "later", long]);
    table.row(["3", "then", &"x".repeat(70)]);
    let lines = table.render(Look { color: false, width: Some(45) });
    assert_eq!(
        lines,
        [
            "N  WHEN   OUTCOME",
            "1  now    fine",
            "2  later  failed: cannot write `a/b`: no",
            "          space is left on that device, which",
            "          is a disk",
            "3  then   xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
            "          xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        ]
    );
    assert!(table.render(Look::default())[2].ends_with(long));
    for width in 0..80 {
        let lines = table.render(Look { color: false, width: Some(width) });
        let letters = |text: &str| text.chars().filter(|c| !c.is_whitespace()).count();
        let shown: usize = lines.iter().map(|line| letters(line)).sum();
        assert!(shown >= letters(long) + 70 + "fineOUTCOMEN123".len(), "{width}: {lines:#?}");
    }
}

#[test]
fn tables_that_follow_each_other_look_like_one() {
    let rows = |cell: &str| {
        let mut table =
            Table::new([Column::text("WHAT").at_least(8), Column::number("TOOK").at_least(6), Column::text("END")]);
        table.row([cell, "1", "x"]);
        table.render(Look::default())[1].clone()
    };
    assert_eq!(rows("a"), "a              1  x");
    assert_eq!(rows("schedule"), "schedule       1  x");
}
