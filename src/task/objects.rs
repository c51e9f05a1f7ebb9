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
    // What is mapped back has the names that the forward direction has made.
    let written_to = match direction == Direction::Forward || objects.is_mapped_back() {
        true => destination,
        false => source,
    };
    let case = NameCase::at(task.options.object_case, written_to)?;
    Ok(objects.in_case(case).with_online(Online::new(&task.options)))
}
