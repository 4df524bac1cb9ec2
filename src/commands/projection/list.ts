import { formatCount } from '../../core/quantity.ts'
import { renderTable } from '../../output/table.ts'
import type { Generation } from '../../store/projections.ts'
import { defineCommand } from '../command.ts'
import { formatOptions, storeOptions } from '../line/options.ts'
import { withStore } from '../line/store.ts'

export default defineCommand({
  name: 'projection list',
  section: 'watch',
  summary: 'tables made of events: which build is live, which one is under way, and how far each is',
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
      return undefined
    })
  },
})

const columns = [
  { head: 'NAME', cell: ({ name }: Generation) => name, grows: true as const },
  { head: 'STATUS', cell: ({ status }: Generation) => status },
  { head: 'BUILD', cell: ({ generation }: Generation) => generation, align: 'right' as const },
  { head: 'VERSION', cell: ({ version }: Generation) => version, align: 'right' as const },
  { head: 'POSITION', cell: ({ position }: Generation) => String(position), align: 'right' as const },
  { head: 'LAG', cell: ({ lagEvents }: Generation) => formatCount(lagEvents), align: 'right' as const },
  { head: 'MISSING', cell: ({ missing }: Generation) => formatCount(missing), align: 'right' as const },
]
