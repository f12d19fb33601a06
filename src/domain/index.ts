/**
 * What is built on handlers: views.
 * @module
 */
export { type StateOf, type View, type ViewOptions, view, viewNamespace } from './view.ts'
