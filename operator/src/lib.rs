//! The operator: watches groups and nodes, renders what each node does, and says in each group's status what is true of it.
