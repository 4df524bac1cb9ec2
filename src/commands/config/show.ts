import { type ConfigKey, configKeys } from '../../config/keys.ts'
import { renderTable } from '../../output/table.ts'
import { defineCommand, flag } from '../command.ts'
import { formatOptions, storeOptions } from '../line/options.ts'

interface Row {
  readonly key: string
  readonly value: string
  readonly origin: string
  readonly says: string
}

export default defineCommand({
  name: 'config show',
  section: 'set up',
  summary: 'every setting, and where its value came from',
  description:
    'Flag > environment > evt.config.* (up to the git root) > $XDG_CONFIG_HOME/evt/config.yaml > default. Passwords are hidden.',
  examples: [
    { line: 'evt config show', says: 'what is in force here', needs: 'nothing' },
    { line: 'evt config show --origin --json', says: 'with the place of each value, for a script', needs: 'nothing' },
  ],
  args: {},
  options: { origin: flag({ says: 'where each value came from; always shown' }), ...storeOptions, ...formatOptions },
  async run(_input, { output, config }) {
    const rows = (Object.keys(configKeys) as ConfigKey[]).map((key): Row => {
      const { value, origin } = config.get(key)
      return {
        key: configKeys[key].name,
        value: key === 'store' && value === undefined ? 'embedded' : shown(key, value),
        origin,
        says: configKeys[key].says,
      }
    })
    const columns = [
      { head: 'KEY', cell: (row: Row) => row.key },
      { head: 'VALUE', cell: (row: Row) => row.value || '-' },
      { head: 'ORIGIN', cell: (row: Row) => row.origin },
      { head: 'MEANS', cell: (row: Row) => row.says, grows: true as const },
    ]
    output.result({
      data: { settings: rows.map(({ key, value, origin }) => ({ key, value, origin })) },
      meta: { files: config.files, profile: config.profile?.name ?? null },
      render: () => renderTable(rows, columns, output),
    })
    return undefined
  },
})

/** One key at a time so that value and rule have the same type. */
function shown<K extends ConfigKey>(key: K, value: unknown): string {
  const rule = configKeys[key] as { show?: (value: unknown) => string }
  return rule.show ? rule.show(value) : String(value ?? '')
}
