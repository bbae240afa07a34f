use super::*;

#[test]
fn everything_in_a_store_has_its_place() {
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let object = ObjectName { digest: Digest::of(b"abc"), kind: ObjectKind::Parquet };
    assert_eq!(object.path().as_str(), format!("objects/sha256/ba/{abc}.parquet"));
    assert_eq!(damaged(object, 2).as_str(), format!("damaged/{abc}.parquet.2"));
    let damaged = |path: RelPath| damaged_file(&path, 3).to_string();
    assert_eq!(damaged(manifest(Sequence(42))), "damaged/00000042-manifest.yaml.3");
    assert_eq!(damaged(RelPath::new(STORE_FILE).unwrap()), "damaged/store.yaml.3");
    assert_eq!(checkpoint_dir(Sequence(42)).as_str(), "checkpoints/00000042");
    assert_eq!(manifest(Sequence(42)).as_str(), "checkpoints/00000042/manifest.yaml");
    assert_eq!(pruned_dir(Sequence(42)).as_str(), "pruned/00000042");
    assert_eq!((pin(Sequence(42)).as_str(), parse_pin("00000042.yaml")), ("pins/00000042.yaml", Some(Sequence(42))));
    assert_eq!((event(7).as_str(), parse_event("00000007.yaml")), ("history/00000007.yaml", Some(7)));
    let id = "0123456789abcdef0123456789abcdef";
    assert_eq!((request(id).name(), answer(id).name()), (&*format!("{id}.yaml"), &*format!("{id}.answer.yaml")));
    let read = |path: RelPath| (parse_request(path.name()), parse_answer(path.name()));
    assert_eq!(read(request(id)), (Some(id.to_owned()), None));
    assert_eq!(read(answer(id)), (None, Some(id.to_owned())));
    assert_eq!(read(worker_answer(id, "0123456789abcdef")), (None, Some(id.to_owned())));
    for wrong in ["answer-0123456789abcde.yaml", "answer-.yaml", "answer-0123456789abcdeF.yaml", "answers.yaml"] {
        assert_eq!(parse_answer(&format!("{id}.{wrong}")), None, "{wrong}");
    }
    let file = "attempts-00000007.jsonl";
    assert_eq!((attempts(7).as_str(), parse_attempts(file)), ("history/attempts-00000007.jsonl", Some(7)));
    assert_eq!(operations(7).as_str(), "history/operations-00000007.jsonl");
    assert_eq!((parse_operations("operations-00000007.jsonl"), parse_operations(file)), (Some(7), None));
    assert_eq!((parse_attempts("attempts-7.jsonl"), parse_event(file)), (None, None));
    assert_eq!((parse_pin("42.yaml"), parse_event("00000007")), (None, None));
    assert_eq!(sums(Sequence(123_456_789)).as_str(), "checkpoints/123456789/SHA256SUMS");
}

#[test]
fn an_object_name_parses_only_as_it_prints() {
    for kind in [ObjectKind::Parquet, ObjectKind::Yaml] {
        let object = ObjectName { digest: Digest::of(b"abc"), kind };
        assert_eq!(object.to_string().parse(), Ok(object));
        assert_eq!(object.path().name().parse(), Ok(object));
    }
    let abc = Digest::of(b"abc").to_string();
    let refused = [
        abc.clone(),
        format!("{abc}."),
        format!("{abc}.txt"),
        format!("{abc}.parquet.1"),
        format!("{abc}.parquet "),
        format!("../{abc}.yaml"),
        abc.to_uppercase() + ".yaml",
        abc[1..].to_owned() + ".yaml",
        "é".repeat(100),
        String::new(),
    ];
    for text in refused {
        let error = text.parse::<ObjectName>().unwrap_err();
        assert!(error.found.chars().count() <= 80);
    }
}

#[test]
fn the_sum_of_a_manifest_is_read_from_the_last_line_only() {
    let digest = Digest::of(b"abc");
    let line = manifest_sum(digest);
    assert_eq!(line.len() as u64, MANIFEST_SUM_BYTES);
    assert_eq!(parse_manifest_sum(line.as_bytes()), Some(digest));
    assert_eq!(parse_manifest_sum(format!("\n{line}").as_bytes()), Some(digest));
    assert_eq!(parse_manifest_sum(format!("ab  x\n{line}").as_bytes()), Some(digest));
    let damaged = [
        format!("x{line}"),
        format!("{line}\n"),
        line.trim_end().to_owned(),
        line.replace("  ", " "),
        line.replace("manifest", "manifast"),
        format!("{line}{digest}  other.yaml\n"),
        String::new(),
        "\n".to_owned(),
    ];
    for text in damaged {
        assert_eq!(parse_manifest_sum(text.as_bytes()), None, "{text:?}");
    }
    assert_eq!(parse_manifest_sum(&[0xff; 80]), None);
}

#[test]
fn a_list_of_objects_is_read_only_as_it_was_written() {
    let name = |text: &str, kind| ObjectName { digest: Digest::of(text.as_bytes()), kind };
    let mut names = vec![name("a", ObjectKind::Parquet), name("b", ObjectKind::Yaml), name("c", ObjectKind::Parquet)];
    names.sort();
    let manifest = Digest::of(b"manifest");
    let text = sums_text(names.iter().copied(), manifest);
    assert_eq!(parse_sums(text.as_bytes()), Some((names.clone(), manifest)));
    assert_eq!(parse_sums(sums_text([], manifest).as_bytes()), Some((Vec::new(), manifest)));
    for at in 0..text.len() {
        let mut bytes = text.clone().into_bytes();
        bytes[at] ^= 1;
        let read = parse_sums(&bytes);
        assert!(read.is_none() || read != Some((names.clone(), manifest)), "byte {at}");
        assert!(parse_sums(&text.as_bytes()[..at]).is_none_or(|(_, found)| found != manifest), "cut at {at}");
    }
    names.reverse();
    assert_eq!(parse_sums(sums_text(names.iter().copied(), manifest).as_bytes()), None);
    assert_eq!(parse_sums(sums_text([names[0], names[0]], manifest).as_bytes()), None);
    assert_eq!(parse_sums("é".repeat(70).as_bytes()), None);
    // The two digits of the directory would be half a letter.
    let halved = format!("a\u{e9}{}  ../../{OBJECTS}/a/\n{}", "a".repeat(61), sums_text([], manifest));
    assert_eq!(parse_sums(halved.as_bytes()), None);
}

#[test]
fn object_names_sort_as_their_texts_do() {
    let mut names: Vec<ObjectName> = (0..50u8)
        .map(|i| ObjectName {
            digest: Digest::of(&[i / 2]),
            kind: if i % 2 == 0 { ObjectKind::Yaml } else { ObjectKind::Parquet },
        })
        .collect();
    names.sort();
    assert!(names.iter().map(ObjectName::to_string).is_sorted());
}
