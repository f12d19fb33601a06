// `npm run servers`: see CONTRIBUTING.md, "Real servers".

import { runServers } from './command-line.ts'

process.exitCode = await runServers(process.argv.slice(2))
