import type { App, StartOptions } from './app.ts'
import type { RunningApp } from './running-app.ts'

export declare function startApp(app: App, options: StartOptions): Promise<RunningApp>
