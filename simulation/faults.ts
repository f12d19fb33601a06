/**
 * Faults that can be planted, to see that the invariants bite: each is a bug that an engine or a program could have. None of
 * them is in force unless a run is asked for it.
 */
export const plantedFaults = {
  'no-sync': 'commits are acknowledged without a sync, so a crash loses the last of them',
  'sync-failure-ignored': 'the writer goes on after a failed sync',
  'refused-but-kept': 'a commit is refused for a full disk, and stored all the same',
  'written-twice': 'what a commit publishes is stored a second time',
  'offset-reused': 'a commit is told an offset that belongs to the record before',
  'unstable-read': 'a record batch is gone at the second read',
  'commits-swapped': 'two commits that wait for the disk change places',
  'progress-lost': 'a commit is stored without the progress of the consumer group',
  'state-lost': 'a commit is stored without the state that belongs to it',
  'baseless-kept': 'what rests on a message that a full disk refused is stored all the same',
  'condition-unchecked': 'appends are stored whatever their conditions say',
  'revision-unchecked': 'state is stored whatever revision it expects',
  'timer-early': 'timers are stored as due two seconds earlier',
  'timer-twice': 'a timer that fired stays scheduled',
  'cancel-ignored': 'a timer that was cancelled stays scheduled',
  'undo-forgotten': 'an undo says that it is done, and has done nothing',
  'undo-forward': 'what was done first is undone first',
  'answer-lost': 'the disk never answers one request',
} as const

/** A fault that can be planted. */
export type PlantedFault = keyof typeof plantedFaults

export function isPlantedFault(name: string): name is PlantedFault {
  return Object.hasOwn(plantedFaults, name)
}
