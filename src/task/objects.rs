//! The objects of a task's directions, as the two servers write names. Pure.

use crate::{
    model::task::{Direction, TaskDefinition},
    plan::{name_case::NameCase, objects::Objects, online::Online},
};

/// The objects of one direction. `lower_case_table_names` is that of the task's source and of its destination.
///
/// # Errors
/// Why a server can't keep names as the task wants them.
pub fn of(task: &TaskDefinition, direction: Direction, lower_case_table_names: [u8; 2]) -> Result<Objects, String> {
    let objects = Objects::new(direction, &task.objects, task.reverse_objects.as_deref());
    let [source, destination] = lower_case_table_names;
    let forward = direction == Direction::Forward;
    // What is mapped back has the names that the forward direction has made.
    let (rules_from, rules_to) = match forward || objects.is_mapped_back() {
        true => (source, destination),
        false => (destination, source),
    };
    let read_from = if forward { source } else { destination };
    let case = NameCase::at(task.options.object_case, rules_to)?;
    Ok(objects
        .kept_in(NameCase::kept_by(read_from), NameCase::kept_by(rules_from))
        .in_case(case)
        .with_online(Online::new(&task.options)))
}
