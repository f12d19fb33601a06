// Runs before each test file. Test files of one process share it and the packages that they import, but no module of the
// sources: what these remember of all definitions of a program must not come from another file.

import { vi } from 'vitest'

vi.resetModules()
