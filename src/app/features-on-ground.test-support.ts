import type { AppGround } from './app-ground.test-support.ts'
import { testBoundaries } from './boundaries-cases.test-support.ts'
import { testChoreographies } from './choreographies-cases.test-support.ts'
import { testHandlerRegister } from './command-register-cases.test-support.ts'
import { testCommands } from './commands-cases.test-support.ts'
import { testCrashLimit, testCrashLimitOfTimers } from './crash-limit-cases.test-support.ts'
import { testDecisions } from './decisions-cases.test-support.ts'
import { testDelayedCommands } from './delayed-commands-cases.test-support.ts'
import { testDeletedStreams } from './deleted-streams-cases.test-support.ts'
import { testHistory } from './history-cases.test-support.ts'
import { testInlineCounting } from './inline-counting-cases.test-support.ts'
import { testInlineForgetting } from './inline-forgetting-cases.test-support.ts'
import { testInlineRebuild } from './inline-rebuild-cases.test-support.ts'
import { testInlineStops } from './inline-stops-cases.test-support.ts'
import { testInlineViews } from './inline-views-cases.test-support.ts'
import { testKeptAttempts } from './kept-attempts-cases.test-support.ts'
import { testLateSignals } from './late-signals-cases.test-support.ts'
import { testProcessPast } from './process-past-cases.test-support.ts'
import { testProcesses } from './processes-cases.test-support.ts'
import { testRetag } from './retag-cases.test-support.ts'
import { testSagaAsks } from './saga-asks-cases.test-support.ts'
import { testSagaConversations } from './saga-conversations-cases.test-support.ts'
import { testSagaPast } from './saga-past-cases.test-support.ts'
import { testSagas } from './sagas-cases.test-support.ts'
import { testSending } from './sending-cases.test-support.ts'
import { testSeveralKeys } from './several-keys-cases.test-support.ts'
import { testTimers } from './timers-cases.test-support.ts'
import { testViewCopies } from './view-copies-cases.test-support.ts'
import { testViewDifference } from './view-difference-cases.test-support.ts'
import { testViewFold } from './view-fold-cases.test-support.ts'
import { testViewPast } from './view-past-cases.test-support.ts'
import { testViewRebuild } from './view-rebuild-cases.test-support.ts'
import { testViewSwapWatch } from './view-swap-watch-cases.test-support.ts'
import { testViews } from './views-cases.test-support.ts'
import { testWaiting } from './waiting-cases.test-support.ts'

/** All that is promised on every engine that keeps topics, events, state and timers: cases that the embedded engine runs too. */
export function testFeatures(ground: AppGround): void {
  testHistory(ground)
  testViewPast(ground)
  testDeletedStreams(ground)
  testChoreographies(ground)
  testProcesses(ground)
  testProcessPast(ground)
  testSagas(ground)
  testSagaAsks(ground)
  testSagaPast(ground)
  testSagaConversations(ground)
  testLateSignals(ground)
  testSending(ground)
  testTimers(ground)
  testKeptAttempts(ground)
  testCrashLimit(ground)
  testCrashLimitOfTimers(ground)
  testDelayedCommands(ground)
  testDecisions(ground)
  testCommands(ground)
  testHandlerRegister(ground)
  testBoundaries(ground)
  testRetag(ground)
  testViews(ground)
  testSeveralKeys(ground)
  testViewDifference(ground)
  testViewCopies(ground)
  testViewRebuild(ground)
  testViewSwapWatch(ground)
  testViewFold(ground)
  testWaiting(ground)
  testInlineViews(ground)
  testInlineCounting(ground)
  testInlineForgetting(ground)
  testInlineRebuild(ground)
  testInlineStops(ground)
}
