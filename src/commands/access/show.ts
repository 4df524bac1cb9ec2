import { renderTable } from '../../output/table.ts'
import type { RoleRule } from '../../store/access.ts'
import { defineCommand } from '../command.ts'
import { formatOptions, storeOptions } from '../line/options.ts'
import { loadServices } from '../line/services.ts'
import { findStore, withStore } from '../line/store.ts'

interface Row {
  readonly who: string
  readonly kind: 'service' | 'role'
  readonly publishes: readonly string[] | null
  readonly subscribes: readonly string[] | null
}

export default defineCommand({
  name: 'access show',
  section: 'watch',
  summary: 'which service may publish and subscribe what, and which role of the database',
  description:
    'Services by `publishes` and `subscribes` of defineService; roles by evt.set_access (see `evt access print`).',
  examples: [
    { line: 'evt access show', says: 'who is restricted' },
    { line: 'evt access show --json', says: 'for a script' },
  ],
  args: {},
  options: { ...storeOptions, ...formatOptions },
  async run(_input, runtime) {
    const services = (await loadServices(runtime)).map(
      ({ name, publishes = null, subscribes = null }): Row => ({ who: name, kind: 'service', publishes, subscribes }),
    )
    const roles = (await findStore(runtime)) ? await readRoles(runtime) : []
    const access = [
      ...services,
      ...roles.map(({ role, patterns }): Row => ({ who: role, kind: 'role', publishes: patterns, subscribes: null })),
    ]
    runtime.output.result({ data: { access }, render: () => renderTable(access, columns, runtime.output) })
    return undefined
  },
})

function readRoles(runtime: Parameters<typeof withStore>[0]): Promise<readonly RoleRule[]> {
  return withStore(runtime, { command: 'access show', max: 1 }, async (store) => {
    const { readRoleRules } = await import('../../store/access.ts')
    return readRoleRules(store)
  })
}

const listed = (patterns: readonly string[] | null) => {
  if (patterns === null) return 'everything'
  return patterns.length === 0 ? 'nothing' : patterns.join(' ')
}
const columns = [
  { head: 'WHO', cell: ({ who }: Row) => who },
  { head: 'KIND', cell: ({ kind }: Row) => kind },
  { head: 'MAY PUBLISH', cell: ({ publishes }: Row) => listed(publishes), grows: true as const },
  { head: 'MAY SUBSCRIBE', cell: ({ kind, subscribes }: Row) => (kind === 'role' ? undefined : listed(subscribes)) },
]
