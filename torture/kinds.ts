import { faults } from './faults/index.ts'
import { flips } from './flips/index.ts'
import { fullDisk } from './full-disk/index.ts'
import { kills } from './kills/index.ts'
import type { Kind } from './kind.ts'
import { limits } from './limits/index.ts'
import { planted } from './planted/index.ts'
import { powerLoss } from './power-loss/index.ts'

/** All kinds, in the order in which they are run. */
export const kinds: readonly Kind[] = [powerLoss, kills, faults, fullDisk, flips, limits, planted]
