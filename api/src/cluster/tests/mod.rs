mod changing;
mod fixtures;
mod joining;
mod property;
mod silence;
mod withdrawing;
mod world;
