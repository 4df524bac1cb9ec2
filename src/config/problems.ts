import { z } from 'zod'
import { suggestion } from '../core/suggest.ts'

type Issue = z.core.$ZodIssue

export interface Problems {
  /** Where and what, of each. */
  readonly text: string
  readonly hint: string
}

/** What is wrong with the content of a file, for a person: of a choice of shapes, what the nearest of them misses. */
export function problemsOf(issues: readonly Issue[], schema: z.ZodType): Problems {
  const all = issues.flatMap((issue) => nearest(issue))
  const hint = all.map((issue) => hintOf(issue, schema)).find((one) => one !== undefined)
  return {
    text: all.map(textOf).join('; '),
    hint: hint ?? 'docs/settings.md says what each setting may be, and so do the types of defineConfig',
  }
}

/** Issues with paths from the top. */
function nearest(issue: Issue): readonly Issue[] {
  if (issue.code !== 'invalid_union') return [issue]
  const shapes = issue.errors.filter((found) => found.length > 0 && !found.some(isOtherKind))
  const [best] = shapes.toSorted((a, b) => distanceOf(a) - distanceOf(b))
  if (!best) return [issue]
  return best.flatMap((inner) => nearest({ ...inner, path: [...issue.path, ...inner.path] } as Issue))
}

/** A text where an object is given, or the other way round. */
const isOtherKind = ({ code, path }: Issue): boolean => code === 'invalid_type' && path.length === 0

/** A field that a shape does not have says more against it than one that is missing. */
const distanceOf = (issues: readonly Issue[]): number =>
  issues.reduce((sum, issue) => sum + (issue.code === 'unrecognized_keys' ? 10 * issue.keys.length : 1), 0)

function textOf(issue: Issue): string {
  const message = issue.message.replace(/^Invalid input: /, '')
  const where = issue.path.join('.') || 'the file'
  return issue.code === 'invalid_type' && message.endsWith('received undefined')
    ? `${where} is missing`
    : `${where}: ${message}`
}

function hintOf(issue: Issue, schema: z.ZodType): string | undefined {
  if (issue.code === 'custom') return typeof issue.params?.hint === 'string' ? issue.params.hint : undefined
  if (issue.code !== 'unrecognized_keys') return undefined
  const known = keysAt(issue.path, z.toJSONSchema(schema, { unrepresentable: 'any', io: 'input' }) as Node)
  const meant = issue.keys.map((key) => suggestion(key, known)).find((one) => one !== undefined)
  return meant ?? `keys${issue.path.length > 0 ? ` of ${issue.path.join('.')}` : ''}: ${known.join(', ')}`
}

/** Of a JSON Schema, as far as it is looked at here. */
interface Node {
  readonly properties?: Readonly<Record<string, Node>>
  readonly items?: Node
  readonly additionalProperties?: Node | boolean
  readonly anyOf?: readonly Node[]
}

function keysAt([first, ...rest]: readonly PropertyKey[], node: Node): readonly string[] {
  const shapes = [node, ...(node.anyOf ?? [])]
  if (first === undefined) return [...new Set(shapes.flatMap(({ properties = {} }) => Object.keys(properties)))]
  const inner = shapes.flatMap(({ properties, items, additionalProperties }) => [
    typeof first === 'number' ? items : properties?.[String(first)],
    typeof additionalProperties === 'object' ? additionalProperties : undefined,
  ])
  return [...new Set(inner.flatMap((one) => (one ? keysAt(rest, one) : [])))]
}
