/** Shells for which there is a script. */
export type Shell = 'bash' | 'zsh' | 'fish'

export const shells: readonly Shell[] = ['bash', 'zsh', 'fish']

/**
 * All scripts do the same: they hand the words up to the cursor to the hidden command `__complete`, which answers with a
 * line for each candidate (value, tab, description) and a last line `:path` or `:none` that says whether the word is a
 * path, which shells complete by themselves.
 */
const bash = `# bash completion of millrace
_millrace() {
  local rest="\${COMP_LINE:0:COMP_POINT}" behind piece current part value reply index
  local -a words
  # Readline parts words at = and : and @ as well; where no blank stood between two pieces, they are one word.
  for ((index = 0; index <= COMP_CWORD; index++)); do
    behind="\${rest#"\${rest%%[![:space:]]*}"}"
    piece="\${COMP_WORDS[index]}"
    ((index == COMP_CWORD)) && piece="$behind"
    if [[ "$behind" != "$rest" || \${#words[@]} -eq 0 ]]; then words+=("$piece"); else words[\${#words[@]}-1]+="$piece"; fi
    rest="\${behind#"$piece"}"
  done
  words[0]="\${words[0]/#\\~\\//$HOME/}"
  words=("\${words[@]//[\\"\\'\\\\]/}")
  current="\${words[\${#words[@]}-1]}"
  # Only the last piece is replaced.
  part="\${piece//[\\"\\'\\\\]/}"
  COMPREPLY=()
  while IFS=$'\\t' read -r value _; do
    case "$value" in
      :path) compopt -o default 2>/dev/null ;;
      :none | '') ;;
      *)
        reply="\${value#"\${current%"$part"}"}"
        # Inside quotation marks Readline needs no escapes.
        case "$piece" in [\\"\\']*) ;; *) reply="$(printf '%q' "$reply")" ;; esac
        COMPREPLY+=("$reply")
        ;;
    esac
  done < <("\${words[0]}" __complete -- "\${words[@]:1}" 2>/dev/null </dev/null)
}
complete -F _millrace millrace
`

const zsh = `#compdef millrace
# zsh completion of millrace
_millrace() {
  local line value description
  local -a candidates
  while IFS= read -r line; do
    value="\${line%%$'\\t'*}"
    description="\${line#*$'\\t'}"
    case "$line" in
      :path)
        compset -P '--[^=]#='
        _files
        ;;
      :none | '') ;;
      *)
        value="\${value//\\\\/\\\\\\\\}"
        candidates+=("\${value//:/\\\\:}:$description")
        ;;
    esac
  done < <(\${~words[1]} __complete -- "\${(@Q)words[2,CURRENT-1]}" "\${(Q)PREFIX}" 2>/dev/null </dev/null)
  (( \${#candidates} )) && _describe -t values millrace candidates
}
if [ "\${funcstack[1]}" = _millrace ]; then _millrace "$@"; else compdef _millrace millrace; fi
`

const fish = `# fish completion of millrace
function __millrace_complete
  set -l words (commandline -opc)
  set -l current (commandline -ct)
  for line in ($words[1] __complete -- $words[2..] (string unescape -- "$current"; or echo "$current") 2>/dev/null </dev/null)
    switch $line
      case :path
        set -l lead (string match -r -- '^--[^=]*=' $current)
        for path in (complete -C "'' "(string replace -r -- '^--[^=]*=' '' $current))
          echo "$lead$path"
        end
      case :none ''
      case '*'
        echo $line
    end
  end
end
complete -c millrace -f -a '(__millrace_complete)'
`

/** The script that teaches a shell to complete command lines of millrace. */
export function completionScript(shell: Shell): string {
  return { bash, zsh, fish }[shell]
}
