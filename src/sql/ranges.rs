//! Which ranges a statement's row keys make up.

use crate::model::{change::Target, table::Family, value::Value};

/// Keys a range must have on average: below that it is as cheap to look up each.
const DENSE: usize = 64;

/// From one key to another, both of them included, and every number between.
pub(super) type Range = (i128, i128);

/// The ranges that the keys of these rows make up if the row key is one integer and its values are dense; else none. A
/// statement that goes through the ranges meets no other row.
pub(super) fn of_keys<'v>(target: &Target, rows: impl Iterator<Item = &'v [Value<'v>]>) -> Vec<Range> {
    let [place] = *target.key.as_slice() else {
        return vec![];
    };
    let key = target.columns.get(place);
    let key = key.and_then(|binding| target.table.columns.get(binding.destination));
    if key.is_none_or(|key| key.family != Family::Integer) {
        return vec![];
    }
    let number = |values: &[Value<'_>]| match values.get(place) {
        Some(Value::Int(number)) => Some(i128::from(*number)),
        Some(Value::UInt(number)) => Some(i128::from(*number)),
        _ => None,
    };
    let numbers: Option<Vec<i128>> = rows.map(number).collect();
    dense(numbers.unwrap_or_default())
}

fn dense(mut numbers: Vec<i128>) -> Vec<Range> {
    numbers.sort_unstable();
    let mut ranges: Vec<Range> = Vec::new();
    for number in &numbers {
        match ranges.last_mut() {
            Some((_, last)) if *number <= *last + 1 => *last = *number,
            _ => ranges.push((*number, *number)),
        }
    }
    match ranges.len() * DENSE <= numbers.len() {
        true => ranges,
        false => vec![],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dense_keys_make_ranges_whatever_their_order() {
        let mut numbers: Vec<i128> = (-5..95).chain(200..250).rev().collect();
        assert_eq!(dense(numbers.clone()), [(-5, 94), (200, 249)]);
        numbers.push(1000);
        assert_eq!(dense(numbers), [], "three for 151");
        let top = i128::from(u64::MAX);
        assert_eq!(dense((top - 99..=top).collect()), [(top - 99, top)]);
    }

    #[test]
    fn scattered_keys_and_few_make_none() {
        assert_eq!(dense((0..1000).map(|number| number * 2).collect()), []);
        assert_eq!(dense((1..DENSE as i128).collect()), []);
        assert_eq!(dense(vec![]), []);
    }
}
