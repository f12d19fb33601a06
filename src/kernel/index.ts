export { sleep } from './abort.ts'
export { ByteBudget } from './byte-budget.ts'
export { type Clock, systemClock, type Timer, VirtualClock } from './clock.ts'
export { type Duration, durationMs, durationMsMax, durationText } from './duration.ts'
export {
  ClosedError,
  DurationInvalidError,
  type Fault,
  InvariantError,
  isPassing,
  JsonInvalidError,
  MillraceError,
  type OptionProblem,
  OptionsInvalidError,
} from './errors.ts'
export { pointCount, timePointMs } from './history-point.ts'
export { formatUuidv7, isUuid, uuidTimeText, uuidv7 } from './ids.ts'
export { isoTime, parseIsoTime, timeMsMax } from './iso-time.ts'
export { freezeParsedJson, frozenJson, type Json, jsonProblem, jsonText } from './json.ts'
export { type Difference, differences } from './json-difference.ts'
export { type Reversal, reversalOf, reversed } from './json-reversal.ts'
export { nameProblems, optionJson, optionMs, takenNames, unknownOptions } from './option-problems.ts'
export { persist } from './persistence.ts'
export { type Random, SeededRandom, systemRandom } from './random.ts'
export { isThenable } from './thenable.ts'
