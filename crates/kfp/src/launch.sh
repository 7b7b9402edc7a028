# A step of Slipway. The arguments say what its directory holds; what follows -- is its command.
upper() { printf %s "$1" | tr a-z- A-Z_; }
directory=$(mktemp -d)
cd "$directory"
mkdir inputs
count=0
while [ "$1" != -- ]; do
    case $1 in
        note) shift 2 ;;
        typed) shift 3 ;;
        file)
            mkdir -p -- "$(dirname -- "$2")"
            printf %s "$3" >"$2"
            case $3 in '#!'*) chmod +x -- "$2" ;; esac
            shift 3
            ;;
        env | all-env)
            export "$2=$3"
            shift 3
            ;;
        param)
            export "PARAM_$(upper "$2")=$3"
            shift 3
            ;;
        input | value)
            if [ "$1" = input ]; then ln -s "$3" "inputs/$2"; else printf %s "$3" >"inputs/$2"; fi
            export "INPUT_$(upper "$2")=inputs/$2"
            shift 3
            ;;
        output)
            mkdir -p -- "$(dirname -- "$3")" "$(dirname -- "$4")"
            export "OUTPUT_$(upper "$2")=$3"
            count=$((count + 1))
            eval "from_$count=\$3 to_$count=\$4"
            shift 4
            ;;
    esac
done
shift
"$@"
while [ "$count" -gt 0 ]; do
    eval "from=\$from_$count to=\$to_$count"
    if [ -e "$from" ]; then
        rm -rf -- "$to"
        mv -- "$from" "$to"
    fi
    count=$((count - 1))
done
