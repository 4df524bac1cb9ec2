import { fieldPaths, type Shape } from '../../core/json-shape.ts'

/** The shape at a dotted path; items of arrays by their number. Without one, the paths that there are. */
export function shapeAt(
  shape: Shape,
  path: readonly string[],
): { readonly shape: Shape | undefined; readonly paths: readonly string[] } {
  return { shape: below(shape, path), paths: fieldPaths(shape, '').map((one) => one.path) }
}

function below(shape: Shape, path: readonly string[]): Shape | undefined {
  const [part, ...rest] = path
  if (part === undefined) return shape
  switch (shape.kind) {
    case 'object': {
      const field = shape.fields.find(({ name }) => name === part)
      return field && below(field.shape, rest)
    }
    case 'array':
      return /^\d+$/.test(part) ? below(shape.item, rest) : undefined
    case 'record':
      return below(shape.value, rest)
    case 'union':
      return shape.of.map((one) => below(one, path)).find((one) => one !== undefined)
    case 'any':
      return shape
    default:
      return undefined
  }
}
