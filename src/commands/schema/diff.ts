import { type ContractChange, diffContracts, diffSchemas } from '../../core/contract-diff.ts'
import { EvtError } from '../../core/errors.ts'
import { renderTable } from '../../output/table.ts'
import { argument, defineCommand } from '../command.ts'
import { readCompared } from '../line/contracts.ts'
import { formatOptions } from '../line/options.ts'

export default defineCommand({
  name: 'schema diff',
  section: 'watch',
  summary: 'what changed between two contracts, and whom it breaks; exit 1 when it breaks anybody',
  description: [
    'BACKWARDS: who has the new contract cannot read what the old one allows (old events in the log). FORWARDS: who has the old one',
    'cannot read new events (services that are not deployed yet). A new version of a type breaks nobody: that is what versions are for.',
  ].join('\n'),
  examples: [
    {
      line: 'evt schema export',
      says: 'what is deployed: keep it in the repository',
      needs: 'nothing',
    },
    { line: 'evt schema diff contracts.json .', says: 'against the code as it is now', needs: 'nothing', exit: 2 },
    { line: 'evt schema diff user.created@v1 user.created@v2', says: 'two versions', needs: 'nothing', exit: 1 },
  ],
  args: {
    old: argument({ says: 'a file of `evt schema export`, type@version, or . for the configured services' }),
    new: argument({ says: 'the same' }),
  },
  options: { ...formatOptions },
  async run({ args }, runtime) {
    const [old, next] = await Promise.all([readCompared(args.old, runtime), readCompared(args.new, runtime)])
    const changes = compare(old, next)
    const breaking = changes.filter((one) => one.breaking !== 'no').length
    runtime.output.result({
      status: breaking > 0 ? 'fail' : 'pass',
      data: { changes, breaking },
      render: () => (changes.length === 0 ? 'nothing changed' : renderTable(changes, columns, runtime.output)),
    })
    if (changes.length > 0) runtime.output.notice(`${changes.length} changes, ${breaking} of them breaking`)
    return breaking > 0 ? 'failed' : undefined
  },
})

type Compared = Awaited<ReturnType<typeof readCompared>>

function compare(old: Compared, next: Compared): readonly ContractChange[] {
  if (old.kind === 'version' && next.kind === 'version') return diffSchemas(old.schema, next.schema)
  if (old.kind === 'all' && next.kind === 'all') return diffContracts(old.file, next.file)
  throw new EvtError(
    'usage',
    `cannot compare ${old.name} with ${next.name}: one is a version, the other all contracts`,
    {
      hint: 'evt schema diff user.created@v1 user.created@v2, or two files',
    },
  )
}

const columns = [
  { head: 'WHERE', cell: ({ path }: ContractChange) => path },
  { head: 'CHANGE', cell: ({ change }: ContractChange) => change },
  { head: 'BREAKS', cell: ({ breaking }: ContractChange) => (breaking === 'no' ? undefined : breaking) },
  { head: 'SAYS', cell: ({ says }: ContractChange) => says, grows: true as const },
]
