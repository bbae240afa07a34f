//! Checks the objects of every replica.

use crate::format::layout::ObjectName;
use crate::ops::finding::FindingCode;
use crate::ops::verify::chains::Chain;
use crate::ops::verify::check::ReplicaCheck;
use crate::ops::verify::choice::Choice;
use crate::ops::verify::object::{Unproven, check_object};
use crate::ops::verify::options::{Depth, Options};
use crate::values::parallel;
use crate::values::progress::Progress;

/// Checks every object once in each replica that needs it.
pub(super) fn check_objects(checks: &mut [ReplicaCheck], options: &Options<'_>, progress: &dyn Progress) {
    let mut work: Vec<(usize, ObjectName, Option<u64>)> = Vec::new();
    for (number, check) in checks.iter().enumerate() {
        work.extend(check.needs.objects.uses.iter().map(|(object, known)| (number, *object, known.bytes)));
    }
    if let Choice::Turn { read_times, .. } = options.choice {
        work.sort_by_cached_key(|(number, object, _)| {
            (read_times.at(&checks[*number].replica.place(), *object), *object, *number)
        });
    }
    let bytes = work.iter().filter_map(|(_, _, bytes)| *bytes);
    let chains = checks.iter().flat_map(|check| &check.needs.chains).map(Chain::bytes);
    progress.start(bytes.chain(chains).fold(0, u64::saturating_add));
    // Objects pass through piece by piece: even many at once take little memory.
    let threads = checks.iter().map(|check| check.store.readers()).max().unwrap_or(1);
    let outcomes = parallel::map_on(threads, &work, |(number, object, bytes)| {
        let read = match options.choice {
            _ if options.depth == Depth::Quick => false,
            Choice::All => true,
            Choice::Sample(sample) => sample.includes(*object),
            Choice::Turn { enough, .. } => !enough(),
        };
        let storage = checks[*number].replica.storage().as_ref();
        (read, check_object(storage, *object, *bytes, read, progress))
    });
    for ((number, object, _), (read, outcome)) in work.into_iter().zip(outcomes) {
        let check = &mut checks[number];
        let has_turns = matches!(options.choice, Choice::Turn { .. });
        check.unread += u64::from(!read);
        if has_turns && !read {
            check.left.push(object);
        }
        match outcome {
            Ok(bytes) => {
                check.read_bytes += bytes;
                if read && options.depth == Depth::Deep {
                    check.proven.insert(object);
                }
                if read && has_turns {
                    check.intact.push(object);
                }
            }
            Err(Unproven::Refused(error)) => drop(check.findings.is_refusal(&error)),
            Err(Unproven::Damaged(problem)) => {
                let checkpoints = check.needs.objects.uses[&object].checkpoints.iter().copied();
                check.findings.add(problem.code, object, problem.expected, problem.found, checkpoints);
            }
        }
    }
    checks.iter_mut().for_each(check_sizes);
}

/// Adds a finding for each object to which two checkpoints give different sizes.
fn check_sizes(check: &mut ReplicaCheck) {
    let objects = &check.needs.objects;
    for (object, bytes, sequence) in &objects.conflicts {
        let expected = format!("{bytes} bytes, as checkpoint {} says", sequence.0);
        let other = objects.uses[object].bytes.unwrap_or_default();
        let found = format!("{other} bytes, as another says");
        check.findings.add(FindingCode::ObjectSize, *object, expected, found, [*sequence]);
    }
}
