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
  local line="\${COMP_LINE:0:COMP_POINT}" current part value reply
  local -a words
  read -ra words <<<"$line"
  [[ "$line" == *[[:space:]] ]] && words+=('')
  current="\${words[\${#words[@]}-1]}"
  # Readline parts words at = and @ as well, and replaces only the last piece.
  part="\${COMP_WORDS[COMP_CWORD]}"
  COMPREPLY=()
  while IFS=$'\\t' read -r value _; do
    case "$value" in
      :path) compopt -o default 2>/dev/null ;;
      :none | '') ;;
      *) reply="\${value#"\${current%"$part"}"}"; COMPREPLY+=("$(printf '%q' "$reply")") ;;
    esac
  done < <("\${words[0]}" __complete -- "\${words[@]:1}" 2>/dev/null)
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
      :path) _files ;;
      :none | '') ;;
      *) candidates+=("\${value//:/\\\\:}:$description") ;;
    esac
  done < <("\${words[1]}" __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)
  (( \${#candidates} )) && _describe -t values millrace candidates
}
if [ "\${funcstack[1]}" = _millrace ]; then _millrace "$@"; else compdef _millrace millrace; fi
`

const fish = `# fish completion of millrace
function __millrace_complete
  set -l words (commandline -opc)
  set -l current (commandline -ct)
  for line in ($words[1] __complete -- $words[2..] "$current" 2>/dev/null)
    switch $line
      case :path
        __fish_complete_path "$current"
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
