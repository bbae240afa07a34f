
use builtin;
use str;

set edit:completion:arg-completer[ckpt] = {|@words|
    fn spaces {|n|
        builtin:repeat $n ' ' | str:join ''
    }
    fn cand {|text desc|
        edit:complex-candidate $text &display=$text' '(spaces (- 14 (wcswidth $text)))$desc
    }
    var command = 'ckpt'
    for word $words[1..-1] {
        if (str:has-prefix $word '-') {
            break
        }
        set command = $command';'$word
    }
    var completions = [
        &'ckpt'= {
            cand --color 'When to use color; `auto` is on a terminal, unless NO_COLOR is set'
            cand --json 'Print the answer as JSON, for programs'
            cand -q 'Print no notes and no progress; warnings and errors stay'
            cand --quiet 'Print no notes and no progress; warnings and errors stay'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
            cand completions 'Print the completion script of a shell'
            cand help 'Print this message or the help of the given subcommand(s)'
        }
        &'ckpt;completions'= {
            cand --color 'When to use color; `auto` is on a terminal, unless NO_COLOR is set'
            cand --json 'Print the answer as JSON, for programs'
            cand -q 'Print no notes and no progress; warnings and errors stay'
            cand --quiet 'Print no notes and no progress; warnings and errors stay'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'ckpt;help'= {
            cand completions 'Print the completion script of a shell'
            cand help 'Print this message or the help of the given subcommand(s)'
        }
        &'ckpt;help;completions'= {
        }
        &'ckpt;help;help'= {
        }
    ]
    $completions[$command]
}
