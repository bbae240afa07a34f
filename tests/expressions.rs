//! `docs/expressions.md`: its examples, and computed fields in jobs.

use std::collections::BTreeSet;
use std::fs;

use ckpt::input::record::{Computation, Computed, function_names};
use ckpt::job::KnownFields;

use crate::support::{Env, repository};

/// The value of an expression without fields, as JSON, or why there is none.
fn value(expression: &str) -> String {
    let computation = match Computation::new("x", expression, KnownFields::ANY) {
        Ok(computation) => computation,
        Err(error) => return error.to_string(),
    };
    match computation.compute(&[]) {
        Ok(Computed::Missing) => "null".to_owned(),
        Ok(Computed::Text(text)) => format!("{text:?}"),
        Ok(Computed::Number(text) | Computed::Json(text)) => text,
        Ok(Computed::Bool(truth)) => truth.to_string(),
        Err(bad) => bad.reason,
    }
}

#[test]
fn every_function_has_examples_that_are_true() {
    let document = fs::read_to_string(repository::path("docs/expressions.md")).expect("readable");
    let text = document.replace('\n', " ");
    let mut seen = BTreeSet::new();
    let mut count = 0;
    let pieces: Vec<&str> = text.split('`').collect();
    for example in pieces.windows(4).filter(|pieces| pieces[1] == " is ") {
        let (expression, expected) = (example[0], example[2]);
        assert_eq!(value(expression), expected, "{expression}");
        seen.extend(function_names().into_iter().filter(|name| expression.contains(&format!("{name}("))));
        count += 1;
    }
    assert!(count >= 30, "{count}");
    assert_eq!(seen, function_names().into_iter().collect());
}

#[test]
fn numbers_are_exact_and_missing_values_stay_missing() {
    for (expression, expected) in [
        ("0.1 + 0.2", "0.3"),
        ("19.99 * 3 - 0.97", "59"),
        ("7 / 2", "3.5"),
        ("-7 % 4", "-3"),
        ("1 / 3", "0.333333333333333333"),
        ("1 / 0", "`let` cannot compute `x`: `/`: division by zero"),
        (
            "99999999999999999999 + 1",
            "column 1: the integer does not fit 64 bits with a sign; write `u` after it, or compare text: `string(id) == \"…\"`",
        ),
        (
            "90000000000000000000.0 * 2",
            "`let` cannot compute `x`: `*`: the result is too large: a number's magnitude must be below 10^20",
        ),
        ("9223372036854775807 + 1", "9223372036854775808"),
        ("9223372036854775807 + 1 == 9223372036854775808u", "true"),
        ("1.5 < 2 && 2.50 == 2.5 && 3.0 == 3", "true"),
        ("null + 1", "null"),
        ("upper(null)", "null"),
        ("concat(\"a\", null)", "null"),
        ("\"a\" + \"b\" + string(1)", "\"ab1\""),
        ("\"a\" + 1", "`let` cannot compute `x`: cannot apply `+` to string and int"),
        ("[1] + [2.5]", "[1,2.5]"),
        ("{\"a\": 1 + 0.5}", "{\"a\":1.5}"),
        ("[1, 2].map(x, x * 2)", "[2,4]"),
        ("split(\"a\", \"/\", 3)", "null"),
        ("split(\"a/b\", \"/\", -3)", "null"),
        ("substring(\"é\", 5)", "\"\""),
        ("substring(\"abc\", 2, 1)", "\"\""),
        ("extract(\"x\", \"y\")", "null"),
        ("case(false, 1)", "null"),
        ("truncate(\"2026-03-29T12:00:00Z\", \"day\", \"Europe/Berlin\")", "\"2026-03-29T00:00:00+01:00\""),
        ("truncate(\"2026-10-25T00:30:00Z\", \"hour\", \"Europe/Berlin\")", "\"2026-10-25T02:00:00+02:00\""),
        ("truncate(\"2026-10-25T01:30:00Z\", \"hour\", \"Europe/Berlin\")", "\"2026-10-25T02:00:00+01:00\""),
        ("truncate(\"2026-10-25T12:00:00Z\", \"week\")", "\"2026-10-19T00:00:00Z\""),
        ("truncate(1.5, \"minute\")", "\"1970-01-01T00:00:00Z\""),
        (
            "truncate(\"yesterday\", \"day\")",
            "`let` cannot compute `x`: `truncate`: `yesterday` is not a time as in RFC 3339, nor in seconds since 1970",
        ),
        (
            "parseTime(\"31.02.2026\", \"%d.%m.%Y\")",
            "`let` cannot compute `x`: `parseTime`: `31.02.2026` is not a time like `%d.%m.%Y`",
        ),
        ("number(\"12,5\")", "`let` cannot compute `x`: `number`: `12,5` is not a number"),
        ("truncate(0, \"dya\")", "column 13: unknown unit `dya`, did you mean `day`?"),
        (
            "truncate(0, \"day\", \"Europe/Berln\")",
            "column 20: unknown time zone `Europe/Berln`, expected a name such as `Europe/Berlin`",
        ),
        ("lowr(\"a\")", "column 5: unknown function `lowr`, did you mean `lower`?"),
        ("lower(\"a\", \"b\")", "column 6: `lower` takes 1 argument, found 2"),
        ("extract(\"a\", \"(\")", "column 8: `extract`: error: unclosed group"),
    ] {
        assert_eq!(value(expression), expected, "{expression}");
    }
}

/// Writes untidy orders and what plain Python computes of them.
const ORDERS: &str = r#"
import collections, csv, datetime, decimal, random, zoneinfo
D = decimal.Decimal
decimal.getcontext().prec = 60
r = random.Random(11)
berlin = zoneinfo.ZoneInfo("Europe/Berlin")
rows = []
for i in range(4000):
    rows.append({
        "ordered": "%02d.%02d.2026 %02d:%02d" % (r.randint(1, 28), r.choice([1, 3, 10]), r.randint(0, 23), r.randint(0, 59)),
        "country": r.choice(["de", " DE ", "At", "", "ch"]),
        "price": r.choice(["19.99", "0.10", "1e2", "3", "", "1.50"]),
        "quantity": r.choice(["1", "2", "3.5", "007"]),
        "sku": r.choice(["A-1-x", "B-22", "C"]),
    })
    if r.random() < 0.02:
        rows[-1]["price"] = r.choice(["12,50", "n/a"])
with open("orders.csv", "w", newline="") as f:
    out = csv.DictWriter(f, rows[0].keys())
    out.writeheader()
    out.writerows(rows)
found = collections.defaultdict(lambda: {"n": 0, "revenue": D(0), "week": None, "large": 0, "sku": None})
bad = 0
for row in rows:
    country = row["country"].strip().upper() or "??"
    try:
        price = D(row["price"]) if row["price"] else None
    except decimal.InvalidOperation:
        bad += 1
        continue
    total = None if price is None else price * D(row["quantity"])
    when = datetime.datetime.strptime(row["ordered"], "%d.%m.%Y %H:%M").replace(tzinfo=berlin)
    day = when.date() - datetime.timedelta(days=when.weekday())
    week = datetime.datetime(day.year, day.month, day.day, tzinfo=berlin).isoformat()
    key = country + "/" + row["sku"].split("-")[0].lower()
    one = found[key]
    one["n"] += 1
    if total is not None:
        one["revenue"] += total
    one["week"] = min(one["week"] or week, week)
    one["large"] += total is not None and total >= 50
    parts = row["sku"].split("-")
    if len(parts) > 1:
        one["sku"] = parts[1]
with open("expected.csv", "w", newline="") as f:
    f.write("group,n,revenue,week,large,sku\n")
    for key in sorted(found):
        one = found[key]
        revenue = format(one["revenue"].normalize(), "f")
        f.write(",".join([key, str(one["n"]), revenue, one["week"], str(one["large"]), one["sku"] or ""]) + "\n")
print(bad)
"#;

#[test]
fn computed_fields_of_untidy_orders_are_what_python_computes() {
    let env = Env::new();
    env.write("orders.py", ORDERS);
    let bad = env.shell("python3 orders.py").expect(0).stdout;
    env.write(
        "job.yaml",
        r#"job: j
input: {files: orders.csv, on_error: {dead_letter: bad.jsonl}}
let:
  country: upper(trim(coalesce(country, "??")))
  total: number(price) * number(quantity)
  group: concat(country, "/", lower(split(sku, "-", 0)))
  week: truncate(parseTime(ordered, "%d.%m.%Y %H:%M", "Europe/Berlin"), "week", "Europe/Berlin")
  large: "isNull(total) ? null : nullIf(total >= 50, false)"
  part: split(sku, "-", 1)
  unused: 1 / 0
key: group
process:
  aggregate:
    n: count
    revenue: sum(total)
    week: min(week)
    large: count(large)
    sku: last(part)
output: {files: out, format: csv}
"#,
    );
    env.run(&["run", "job.yaml", "--threads", "2"]).expect(3);
    assert_eq!(env.read("bad.jsonl").lines().count().to_string(), bad.trim());
    assert_eq!(env.read("out/j.csv"), env.read("expected.csv"));
}

#[test]
fn computed_fields_can_be_the_key_the_time_and_part_of_where() {
    let env = Env::new();
    let line = |n: u32| format!("{{\"at\":\"24.10.2026 10:{:02}\",\"user\":{{\"name\":\"U{}\"}}}}\n", n % 60, n % 3);
    env.write("a.jsonl", (0..600).map(line).collect::<String>());
    env.write(
        "job.yaml",
        "job: j\ninput: a.jsonl\nlet:\n  name: lower(user.name)\n  at: parseTime(at, '%d.%m.%Y %H:%M')\n\
         where: name != \"u2\"\nkey: name\nprocess:\n  aggregate: {n: count}\n  window: {time: at, every: 30m}\noutput: out\n",
    );
    env.run(&["run", "job.yaml"]).expect(0);
    let row = |name: &str, start: &str, end: &str| {
        format!(
            "{{\"name\":\"{name}\",\"window_start\":\"2026-10-24T{start}:00Z\",\"window_end\":\"2026-10-24T{end}:00Z\",\"n\":100}}\n"
        )
    };
    let expected: String =
        ["u0", "u1"].iter().flat_map(|name| [row(name, "10:00", "10:30"), row(name, "10:30", "11:00")]).collect();
    assert_eq!(env.read("out/j.jsonl").replace(".000Z", "Z"), expected);
}

#[test]
fn a_changed_let_is_refused_only_where_the_state_depends_on_it() {
    let env = Env::new();
    env.write("a.jsonl", "{\"k\":\"A\",\"n\":1}\n");
    let job = |lets: &str| {
        format!(
            "job: j\ninput: a.jsonl\nlet: {{{lets}}}\nwhere: big > 0\nkey: name\nprocess: {{aggregate: {{s: sum(n)}}}}\n"
        )
    };
    env.write("job.yaml", job("low: lower(k), name: low + \"!\", big: n"));
    env.run(&["run", "job.yaml"]).expect(0);
    env.write("job.yaml", job("big: n * 2, low: lower(k), name: low + \"!\""));
    env.run(&["run", "job.yaml"]).expect(0);
    env.write("job.yaml", job("low: upper(k), name: low + \"!\", big: n"));
    let output = env.run(&["run", "job.yaml"]).expect(2);
    assert!(output.stderr.contains("the computed field `low` was `lower(k)`, is now `upper(k)`"), "{output}");
    env.write("job.yaml", job("n: n + 1, low: lower(k), name: low + \"!\", big: n"));
    let output = env.run(&["run", "job.yaml"]).expect(2);
    assert!(output.stderr.contains("the computed field `n` was added: `n + 1`"), "{output}");
}

/// Writes an export for people and what plain Python computes of it.
const EXPORT: &str = r#"
import collections, csv, decimal, random, re
r = random.Random(3)
D = decimal.Decimal
names = ["x", "y", "1.000", "007"]
with open("export.csv", "w", newline="", encoding="utf-8") as f:
    out = csv.writer(f, delimiter=";")
    out.writerow(["name", "amount"])
    for i in range(3000):
        cents = r.randint(-5_000_000, 5_000_000_000)
        shown = f"{abs(cents) / 100:,.2f}".translate(str.maketrans(",.", ".,"))
        form = r.choice(["{s}{n} €", "{s}€ {n}", "{s}{n}"])
        amount = form.format(s="-" if cents < 0 else "", n=shown)
        if r.random() < 0.1:
            amount = r.choice(["NA", "-", "", "12.5", "n/a", "1,2,3"])
        out.writerow([r.choice(names), amount])
rows = collections.defaultdict(lambda: [0, 0, D(0)])
bad = 0
for row in csv.DictReader(open("export.csv", encoding="utf-8"), delimiter=";"):
    amount = row["amount"]
    name = row["name"].replace(".", "")
    if amount in ("NA", "-", ""):
        rows[name][0] += 1
        continue
    digits = re.sub("[€ ]", "", amount)
    if not re.fullmatch(r"-?\d{1,3}(\.\d{3})*(,\d+)?", digits):
        bad += 1
        continue
    rows[name][0] += 1
    rows[name][1] += 1
    rows[name][2] += D(digits.replace(".", "").replace(",", "."))
with open("expected.csv", "w") as f:
    f.write("name,n,amounts,total\n")
    for name in sorted(rows):
        n, amounts, total = rows[name]
        total = format(total, "f")
        f.write(f"{name},{n},{amounts},{total.rstrip('0').rstrip('.') if '.' in total else total}\n")
print(bad)
"#;

#[test]
fn an_export_for_people_gives_what_python_computes() {
    let env = Env::new();
    env.write("export.py", EXPORT);
    let bad = env.shell("python3 export.py").expect(0).stdout;
    let job = |numbers: &str| {
        format!(
            "job: j\ninput:\n  files: export.csv\n  delimiter: ;\n  nulls: [NA, '-']\n  numbers: {numbers}\n  \
             on_error: {{dead_letter: bad.jsonl}}\nkey: name\n\
             process: {{aggregate: {{n: count, amounts: count(amount), total: sum(amount)}}}}\n\
             output: {{files: out, format: csv}}\n"
        )
    };
    env.write("job.yaml", job("{thousands: '.', decimal: ',', strip: '€ '}"));
    env.run(&["run", "job.yaml", "--threads", "2"]).expect(3);
    assert_eq!(env.read("bad.jsonl").lines().count().to_string(), bad.trim());
    assert_eq!(env.read("out/j.csv"), env.read("expected.csv"));
    env.write("job.yaml", job("{decimal: ',', strip: '€ '}"));
    let output = env.run(&["run", "job.yaml"]).expect(2);
    assert!(output.stderr.contains("`numbers` in `input` was changed"), "{output}");
}

#[test]
fn an_expression_that_is_nested_too_deep_is_refused_and_one_less_deep_is_computed() {
    let cases = format!("case({}", "1 > 2, 0, ".repeat(20));
    let nested = |count: usize, before: &str, after: &str| {
        (0..count).fold("1".to_owned(), |inner, _| format!("{before}{inner}{after}"))
    };
    let check = move || {
        for (before, after, fits) in
            [("", " + 1", 98), ("upper(", ")", 90), ("", " == 1", 98), (cases.as_str(), ")", 4)]
        {
            let computed = value(&nested(fits, before, after));
            assert!(!computed.contains(' '), "{computed}");
        }
        assert_eq!(value(&nested(5, &cases, ")")), "the cases of the expression are nested too deep");
    };
    // The stack of a worker.
    std::thread::Builder::new().stack_size(16 << 20).spawn(check).expect("a thread").join().expect("no panic");
}

#[test]
fn a_worker_computes_the_deepest_expression() {
    let env = Env::new();
    env.write("a.jsonl", "{\"a\":1}\n".repeat(100));
    let sum = "a".to_owned() + &" + a".repeat(98);
    let process = "process: {aggregate: {s: sum(n), most: max(n)}}";
    env.write("job.yaml", format!("job: k\ninput: a.jsonl\nlet: {{n: {sum}}}\n{process}\noutput: out\n"));
    env.run(&["run", "job.yaml"]).expect(0);
    assert_eq!(env.read("out/k.jsonl"), "{\"partition\":\"a.jsonl\",\"s\":9900,\"most\":99}\n");
}

#[test]
fn text_in_other_encodings_is_converted_and_bad_records_keep_their_places() {
    let env = Env::new();
    let texts = ["Größe", "Café 5 €", "x", "ÿþ"];
    let lines: Vec<String> =
        (0..1000).map(|n| format!("{};{}\n", texts[n % 4], if n == 997 { "ü" } else { "1" })).collect();
    let content = format!("stück;preis €\n{}", lines.concat());
    let encoded: Vec<u8> =
        content.chars().map(|c| if c == '€' { 0x80 } else { u8::try_from(u32::from(c)).unwrap() }).collect();
    env.write("a.csv", encoded);
    env.write("b.csv", content);
    let mut outputs = Vec::new();
    for (file, encoding) in [("a.csv", "windows-1252"), ("b.csv", "utf-8")] {
        env.write(
            "job.yaml",
            format!(
                "job: {}\ninput: {{files: {file}, delimiter: ;, encoding: {encoding}, on_error: {{dead_letter: bad.jsonl}}}}\n\
                 key: stück\nprocess: {{aggregate: {{n: sum(\"preis €\")}}}}\ncheckpoint: {{enabled: false}}\noutput: out\n",
                &file[..1]
            )
            .replace("sum(\"preis €\")", "'sum(\"preis €\")'"),
        );
        env.run(&["run", "job.yaml"]).expect(3);
        let bad = env.read("bad.jsonl");
        assert!(bad.contains("Café 5 €;ü"), "{bad}");
        outputs.push(env.read(&format!("out/{}.jsonl", &file[..1])));
        std::fs::remove_file(env.path("bad.jsonl")).expect("removed");
    }
    assert_eq!(outputs[0], outputs[1]);
    assert!(outputs[0].contains("{\"stück\":\"Café 5 €\",\"n\":249}"), "{}", outputs[0]);
}
