import { renderTable } from '../../output/table.ts'
import type { Capture } from '../../store/capture.ts'
import { defineCommand } from '../command.ts'
import { formatOptions, storeOptions } from '../line/options.ts'
import { withStore } from '../line/store.ts'

export default defineCommand({
  name: 'capture list',
  section: 'set up',
  summary: 'captured tables, and whether their triggers are in order; exit 1 when some are not',
  examples: [
    { line: 'evt capture list', says: 'tables, entities, rules and state' },
    { line: 'evt capture list --json', says: 'for a script' },
  ],
  args: {},
  options: { ...storeOptions, ...formatOptions },
  async run(_input, runtime) {
    return withStore(runtime, { command: 'capture list', max: 1 }, async (store) => {
      const { listCaptures } = await import('../../store/capture.ts')
      const captures = await listCaptures(store)
      const broken = captures.filter(({ state }) => state !== 'active')
      runtime.output.result({
        status: broken.length > 0 ? 'fail' : 'pass',
        data: { captures },
        meta: { store: store.url },
        render: () => (captures.length === 0 ? 'no table is captured' : renderTable(captures, columns, runtime.output)),
      })
      if (broken.length === 0) return undefined
      runtime.output.warn(
        `${broken.length} not in order: ${broken.map(nameOf).join(', ')}`,
        'repeat `evt capture add` for them',
      )
      return 'failed'
    })
  },
})

const nameOf = ({ schema, table }: Capture) => (schema === 'public' ? table : `${schema}.${table}`)
const rulesOf = ({ options }: Capture) =>
  (options.rules ?? []).map(({ when, type }) => `${when.column}=${when.to}:${type}`)

const columns = [
  { head: 'TABLE', cell: nameOf },
  { head: 'ENTITY', cell: ({ entity }: Capture) => entity },
  { head: 'MODE', cell: ({ mode }: Capture) => mode },
  { head: 'STATE', cell: ({ state }: Capture) => state },
  { head: 'RULES', cell: (capture: Capture) => rulesOf(capture).join(' ') || undefined, grows: true as const },
]
