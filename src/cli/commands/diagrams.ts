import type { App } from '../../app/index.ts'
import { type Choreography, mermaid } from '../../saga/index.ts'
import { loadApp } from '../dev/app-module.ts'
import { NotFoundError, UsageError } from '../errors.ts'
import type { Invocation } from '../session.ts'
import { shown, shownLines } from '../text.ts'

/** What of an app can be drawn, under all names that it is called by. */
interface Drawable {
  readonly names: readonly string[]
  readonly of: Parameters<typeof mermaid>[0]
}

/** `millrace sagas diagram <app> <saga>` */
export async function sagaDiagram(invocation: Invocation<object>): Promise<void> {
  const { sagas } = await appOf(invocation)
  await draw(
    invocation,
    'saga',
    sagas.map((saga) => ({ names: [saga.name], of: saga })),
  )
}

/** `millrace processes diagram <app> <choreography>` */
export async function choreographyDiagram(invocation: Invocation<object>): Promise<void> {
  const { services } = await appOf(invocation)
  const drawables = services.flatMap(({ name, handlers }) =>
    handlers
      .filter((handler): handler is Choreography => 'choreography' in handler)
      .map((handler) => ({ names: [`${name}.${handler.name}`, handler.name], of: handler })),
  )
  await draw(invocation, 'choreography', drawables)
}

function appOf({ args, environment }: Invocation<object>): Promise<App> {
  return loadApp(args[0] as string, environment.cwd)
}

async function draw({ args, output }: Invocation<object>, kind: string, drawables: readonly Drawable[]): Promise<void> {
  const name = args[1] as string
  const [first, ...more] = drawables.filter(({ names }) => names.includes(name))
  const others = drawables.map(({ names }) => shown(names[0] as string)).join(', ')
  if (first === undefined) {
    throw new NotFoundError(kind, name, others === '' ? 'The app has none.' : `The app has: ${others}.`)
  }
  if (more.length > 0) {
    throw new UsageError(`Several services have a ${kind} ${JSON.stringify(name)}: ${others}.`, 'millrace processes')
  }
  const diagram = mermaid(first.of)
  if (output.isJson) await output.document({ kind, name, diagram })
  else await output.line(shownLines(diagram.trimEnd()))
}
