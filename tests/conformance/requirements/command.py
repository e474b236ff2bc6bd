from tests.conformance.model import Requirement

REQUIREMENTS = (
    Requirement("command.help", "ours", "One help names every subcommand and imports none of them."),
    Requirement("command.extra", "ours", "Without the extra cli: exit code 2 and the command that installs it."),
    Requirement("command.exit_codes", "ours", "Usage errors are exit code 2 on standard error, for every subcommand."),
    Requirement("command.completion", "ours", "Subcommands and options are completed by bash, zsh and fish."),
    Requirement("command.names", "ours", "Texts name the command as it was started: mcp-idp, or the stack's script."),
    Requirement("command.url", "ours", "Every command that takes a server takes it as an argument or by --url."),
    Requirement("command.serve", "ours", "What mcp-idp serve serves is behind protect(), once."),
    Requirement("command.installed", "ours", "The wheel, an editable install and the checkout find the same files."),
    Requirement("command.own_access", "ours", "No command but demo and init uses the access file that comes along."),
)
