import { fingerprintOfContract, versionsOf } from '../../core/contract-schemas.ts'
import { renderTable } from '../../output/table.ts'
import { defineCommand, text, value } from '../command.ts'
import { formatOptions } from '../line/options.ts'
import { loadRegistry } from '../line/services.ts'

interface Row {
  readonly type: string
  readonly version: number
  readonly versions: number
  readonly draft: boolean
  readonly sensitive: readonly string[]
  readonly fingerprint: string
}

export default defineCommand({
  name: 'schema list',
  section: 'watch',
  summary: 'contracts of the configured services: versions, drafts, sensitive fields',
  examples: [
    { line: 'evt schema list', says: 'every type that the configured services know', needs: 'nothing' },
    { line: "evt schema list --type 'user.*' --json", says: 'some, for a script', needs: 'nothing' },
  ],
  args: {},
  options: {
    type: value({ value: 'pattern', says: 'only these types', parse: text, shownDefault: "'*'" }),
    ...formatOptions,
  },
  async run({ options: { type: pattern = '*' } }, runtime) {
    const { compilePattern } = await import('../../core/pattern.ts')
    const wanted = compilePattern(pattern)
    const registry = await loadRegistry(runtime)
    const contracts = registry.matching(wanted).map(
      (one): Row => ({
        type: one.type,
        version: one.version,
        versions: versionsOf(registry, one.type).length,
        draft: one.draft === true,
        sensitive: registry.sensitivePaths(one.type),
        fingerprint: fingerprintOfContract(one),
      }),
    )
    runtime.output.result({
      data: { contracts },
      render: () => (contracts.length === 0 ? 'no contract matches' : renderTable(contracts, columns, runtime.output)),
    })
    return undefined
  },
})

const columns = [
  { head: 'TYPE', cell: ({ type }: Row) => type },
  { head: 'VERSION', cell: ({ version, draft }: Row) => `${version}${draft ? ' (draft)' : ''}` },
  { head: 'SENSITIVE', cell: ({ sensitive }: Row) => sensitive.join(' ') || undefined, grows: true as const },
  { head: 'FINGERPRINT', cell: ({ fingerprint }: Row) => fingerprint, expendable: 0 },
]
