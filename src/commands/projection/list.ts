import { formatCount } from '../../core/quantity.ts'
import { renderTable } from '../../output/table.ts'
import { type Generation, generationHandler } from '../../store/projections.ts'
import { defineCommand } from '../command.ts'
import { formatOptions, storeOptions } from '../line/options.ts'
import { withStore } from '../line/store.ts'
import type { Runtime } from '../runtime.ts'

export default defineCommand({
  name: 'projection list',
  section: 'watch',
  summary: 'tables made of events: which build is live, which one is under way, and how far each is',
  description: [
    'MISSING: events that its tables lack, because they are dead, are to be tried again, or wait behind one that is: see evt dlq list and',
    'evt parked list. A build that lacks any does not take the place of the live one. LAG counts positions of the log.',
  ].join('\n'),
  examples: [{ line: 'evt projection list', says: 'one that is built takes the place of the live one at lag 0' }],
  args: {},
  options: { ...storeOptions, ...formatOptions },
  async run(_input, runtime) {
    return withStore(runtime, { command: 'projection list', max: 1 }, async (store) => {
      const { readGenerations } = await import('../../store/projections.ts')
      const generations = await readGenerations(store)
      runtime.output.result({
        data: { projections: generations.map((one) => ({ ...one, position: String(one.position) })) },
        meta: { store: store.url },
        render: () =>
          generations.length === 0 ? 'no projection is here yet' : renderTable(generations, columns, runtime.output),
      })
      for (const one of generations.filter(isHeld)) tellHeld(one, runtime)
      return undefined
    })
  },
})

const isHeld = ({ status, missing }: Generation): boolean => status === 'building' && missing > 0

/** While it only waits for a retry, there is nothing to do. */
function tellHeld(build: Generation, { output }: Runtime): void {
  const { name, generation, dead, missing } = build
  const again = `evt dlq replay --where 'evt.handler == "${generationHandler(build)}"'`
  const remedy = dead > 0 ? again : 'evt parked list says what it waits for'
  output.warn(
    `build ${generation} of projection ${name} does not take the place of the live one: ${formatCount(missing)} missing`,
    `${remedy}; evt projection stop ${name} gives the build up`,
  )
}

function whyOf(build: Generation): string | undefined {
  const { status, dead, missing } = build
  if (missing === 0) return undefined
  const what = dead > 0 ? `${formatCount(dead)} dead` : 'to be tried again'
  return status === 'building' ? `${what}: the live one stays` : what
}

const columns = [
  { head: 'NAME', cell: ({ name }: Generation) => name, grows: true as const },
  { head: 'STATUS', cell: ({ status }: Generation) => status },
  { head: 'BUILD', cell: ({ generation }: Generation) => generation, align: 'right' as const },
  { head: 'VERSION', cell: ({ version }: Generation) => version, align: 'right' as const },
  { head: 'POSITION', cell: ({ position }: Generation) => String(position), align: 'right' as const },
  { head: 'LAG', cell: ({ lagEvents }: Generation) => formatCount(lagEvents), align: 'right' as const },
  { head: 'MISSING', cell: ({ missing }: Generation) => formatCount(missing), align: 'right' as const },
  { head: 'WHY', cell: whyOf },
]
