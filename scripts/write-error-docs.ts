// Writes docs/errors.md from the error classes under src/.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { errorClasses, errorDocs } from './error-docs.ts'

const root = join(import.meta.dirname, '..')
const classes = errorClasses(root)
writeFileSync(join(root, 'docs', 'errors.md'), errorDocs(classes))
console.log(`docs/errors.md: ${classes.length} codes`)
