/** What `defineProjection` gives: a bridge keeps its tables up to date. */
export interface Projection {
  readonly kind: 'projection'
  readonly name: string
}
