//! What holds of the cache whatever its directory says, and whenever.

use proptest::prelude::*;

use crate::directory::cache::kit::{FRESH, NEGATIVE, SERVE_STALE, Says, World};
use crate::directory::cache::{Absent, Known};

#[derive(Clone, Copy, Debug)]
enum Step {
    LookUp,
    Says(Says),
    Pass(i64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let says = prop_oneof![
        3 => any::<u32>().prop_map(Says::Value),
        4 => Just(Says::NotFound),
        2 => Just(Says::Fault),
        1 => Just(Says::Silence),
    ];
    let pass = prop_oneof![
        3 => 0..3_000_i64,
        3 => NEGATIVE - 1..NEGATIVE + 2,
        2 => FRESH * 3 / 4..FRESH,
        2 => FRESH..FRESH + 2,
        1 => 0..SERVE_STALE,
        1 => SERVE_STALE..SERVE_STALE + 2,
    ];
    let step = prop_oneof![
        4 => Just(Step::LookUp),
        2 => says.prop_map(Step::Says),
        3 => pass.prop_map(Step::Pass),
    ];
    proptest::collection::vec(step, 1..80)
}

/// Holds what was served against all that the directory said until then.
fn judge(world: &World, known: &Known<u32>) -> Result<(), TestCaseError> {
    let (now, answers) = (world.now(), world.answers());
    let last = answers.iter().rposition(|answer| matches!(answer.said, Says::Value(_)));
    let last = last.filter(|last| now.ms_since(answers[*last].asked) <= SERVE_STALE as u64);
    let since = &answers[last.map_or(0, |last| last + 1)..];
    let missing: Vec<_> = since.iter().filter(|answer| answer.said == Says::NotFound).collect();
    let turned = match missing[..] {
        [first, .., last] => last.asked.ms_since(first.asked) >= NEGATIVE as u64,
        _ => false,
    };
    match (known, last.map(|last| answers[last])) {
        (Known::Found(found), Some(last)) => {
            prop_assert_eq!(last.said, Says::Value(*found.value));
            prop_assert_eq!(now.ms_since(last.asked), found.age_ms);
            prop_assert!(!turned, "it is gone");
            let is_fresh = found.age_ms <= FRESH as u64;
            prop_assert!(is_fresh || world.fetches() > last.lookup, "old, and nobody asked");
        }
        (Known::Found(_), None) => prop_assert!(false, "nothing was said, or too long ago"),
        (Known::Absent(Absent::NotFound), Some(_)) => {
            prop_assert!(turned, "a known key turned by {missing:?}");
        }
        (Known::Absent(Absent::NotFound), None) => prop_assert!(!missing.is_empty()),
        (Known::Absent(Absent::Ambiguous), _) => prop_assert!(false, "nobody said so"),
        (Known::Unknown(_), last) => {
            prop_assert!(last.is_none() || turned, "the last answer was not served");
        }
    }
    Ok(())
}

async fn play(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let world = World::new(Says::Value(0));
    for step in steps {
        match step {
            Step::Pass(ms) => world.pass(ms),
            Step::Says(says) => world.says(says),
            Step::LookUp => judge(&world, &world.look_up("alice").await)?,
        }
        world.settle().await;
    }
    let before = world.answers().len();
    world.says(Says::Value(7));
    world.settle().await;
    // Rounds are longer than a pause, and ten longer than what is missing goes unasked.
    for _ in 0..10 {
        judge(&world, &world.look_up("alice").await)?;
        world.settle().await;
        if let Some(Known::Found(found)) = world.at_hand("alice")
            && found.age_ms <= FRESH as u64
            && *found.value == 7
        {
            prop_assert!(world.answers().len() <= before + 2, "more than two good answers");
            return Ok(());
        }
        world.pass(8_000);
    }
    prop_assert!(
        matches!(world.at_hand("alice"), Some(Known::Found(found)) if found.age_ms <= FRESH as u64)
    );
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn nothing_too_old_no_hasty_refusal_and_fresh_in_the_end(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        runtime.block_on(play(steps))?;
    }
}
