import { isEventType } from '../../core/pattern.ts'
import { inferShape } from './infer-shape.ts'
import { formatSchema, quoted } from './inferred-schema.ts'
import type { Profile } from './profile.ts'

/** A module of contracts and a service of them, as a person would write it. Types whose names no contract may have are left out. */
export function writeContracts({ types }: Profile, service: string): string {
  const names = new Map<string, string>()
  for (const type of types.keys()) if (isContractType(type)) names.set(type, uniqueName(type, [...names.values()]))
  const bodies = [...names].map(([type, name]) => {
    const { data, version, count } = types.get(type) as NonNullable<ReturnType<typeof types.get>>
    const versions = version > 1 ? `, of which the highest said that it is version ${version}` : ''
    return `/** From ${count} events${versions}. */\nexport const ${name} = defineEvent(${quoted(type)}, {\n  1: ${formatSchema(inferShape(data), 1)},\n})\n`
  })
  const imports = bodies.some((body) => body.includes('sensitive('))
    ? 'defineEvent, defineService, sensitive'
    : 'defineEvent, defineService'
  return [
    '// Contracts as recorded traffic suggests them: read them before they are law.',
    `import { ${imports} } from 'evtctl'`,
    "import { z } from 'zod'\n",
    ...bodies,
    `export const contracts = [${[...names.values()].join(', ')}]\n`,
    `export default defineService({ name: ${quoted(service)}, contracts, handlers: [] })\n`,
  ].join('\n')
}

/** As defineEvent asks for. */
export const isContractType = (type: string): boolean =>
  isEventType(type) && /^[a-z][a-z0-9_-]*(\.[a-z0-9_-]+)+$/.test(type)

function uniqueName(type: string, taken: readonly string[]): string {
  const name = type.replace(/[^a-z0-9]+(.)/gi, (_, letter: string) => letter.toUpperCase()).replace(/[^A-Za-z0-9]/g, '')
  const reserved = ['contracts', 'z', 'sensitive', 'defineEvent', 'defineService']
  for (let n = 1; ; n++) {
    const wanted = n === 1 ? name : `${name}${n}`
    if (!taken.includes(wanted) && !reserved.includes(wanted)) return wanted
  }
}
