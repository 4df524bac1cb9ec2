import { renderTable } from '../../output/table.ts'
import { defineCommand } from '../command.ts'
import { formatOptions, storeOptions } from '../line/options.ts'
import { withStore } from '../line/store.ts'

interface Row {
  readonly version: number
  readonly name: string
  readonly state: 'applied' | 'pending'
  readonly at?: string
}

export default defineCommand({
  name: 'migrate status',
  section: 'set up',
  summary: 'which migrations the store has; exit 1 when some are pending',
  examples: [
    { line: 'evt migrate status', says: 'applied and pending migrations' },
    { line: 'evt migrate status --json', says: 'for a script that waits for the schema' },
  ],
  args: {},
  options: { ...storeOptions, ...formatOptions },
  async run(_input, runtime) {
    const { migrationStatus } = await import('../../store/migrate.ts')
    return withStore(runtime, { command: 'migrate status', max: 1, schema: 'any' }, async (store) => {
      const { version, latest, applied, pending } = await migrationStatus(store)
      const rows: Row[] = [
        ...applied.map(
          (one): Row => ({
            version: one.version,
            name: one.name,
            state: 'applied',
            ...(one.appliedAt ? { at: one.appliedAt.toISOString() } : {}),
          }),
        ),
        ...pending.map((one): Row => ({ ...one, state: 'pending' })),
      ]
      const behind = pending.length > 0
      const columns = [
        { head: 'VERSION', cell: (row: Row) => row.version, align: 'right' as const },
        { head: 'NAME', cell: (row: Row) => row.name },
        { head: 'STATE', cell: (row: Row) => row.state },
        { head: 'AT', cell: (row: Row) => row.at },
      ]
      runtime.output.result({
        status: behind ? 'fail' : 'pass',
        data: { version, latest, migrations: rows },
        meta: { store: store.url },
        render: () => renderTable(rows, columns, runtime.output),
      })
      if (behind) runtime.output.warn(`${store.url}: ${pending.length} pending`, 'run `evt migrate up`')
      return behind ? 'failed' : undefined
    })
  },
})
