// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ChainDirectory} from "../../src/ChainDirectory.sol";
import {EpochManager} from "../../src/EpochManager.sol";
import {IWeightSource} from "../../src/IWeightSource.sol";
import {Home, LightStakeRegistry} from "../../src/LightStakeRegistry.sol";
import {OperatorSet} from "../../src/OperatorSets.sol";
import {OwnerSlashingDecider} from "../../src/OwnerSlashingDecider.sol";
import {StakeRegistry} from "../../src/StakeRegistry.sol";
import {Vm} from "./Vm.sol";

/// @notice Weights as a test wants them; it tells nobody of changes.
contract FakeWeights is IWeightSource {
    mapping(address => uint256) public weightOf;
    mapping(address => bool) public frozen;
    address public immutable registry;
    uint64 public immutable withdrawalBlocks;
    uint64 public immutable withdrawalSeconds;
    uint32 public immutable freshEpochs;

    constructor(address registry_, uint64 blocks, uint64 seconds_, uint32 fresh) {
        (registry, withdrawalBlocks, withdrawalSeconds, freshEpochs) = (registry_, blocks, seconds_, fresh);
    }

    function set(address operator, uint256 weight) external {
        weightOf[operator] = weight;
    }

    function freeze(address operator) external {
        frozen[operator] = true;
    }

    function unfreeze(address operator, uint16 bips) external {
        frozen[operator] = false;
        weightOf[operator] -= (weightOf[operator] * bips) / 10_000;
    }

    function freezeBlocks() external view returns (uint64) {
        return withdrawalBlocks;
    }
}

/// @notice A registry with a short schedule, and operators with keys.
abstract contract Fixture {
    struct Operator {
        address account;
        uint256 secret;
        address signingKey;
    }

    Vm internal constant vm = Vm(0x7109709ECfa91a80626fF3989D68f67F5b1DD12D);

    uint64 internal constant GENESIS = 1000;
    uint64 internal constant LENGTH = 100;
    uint64 internal constant GRACE = 20;
    uint64 internal constant BLOCK_SECONDS = 12;
    uint64 internal constant GENESIS_TIME = 1_700_000_000;
    /// @dev In which stake can be reached after a set was fixed.
    uint64 internal constant REACH = 400;
    /// @dev Three quarters of it: in which certificates hold.
    uint64 internal constant LIFETIME = 300;
    uint64 internal constant LIFETIME_SECONDS = LIFETIME * BLOCK_SECONDS;
    uint256 internal constant MINIMUM = 10;
    uint256 internal constant SECP256K1_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;

    EpochManager internal epochs;
    FakeWeights internal weights;
    StakeRegistry internal registry;

    ChainDirectory internal directory;
    OwnerSlashingDecider internal decider;

    function setUp() public virtual {
        _deploy(0);
    }

    /// @dev With weights that count for `fresh` epochs unless they are read again; 0 for ever.
    function _deploy(uint32 fresh) internal {
        _goTo(0, 0);
        epochs = new EpochManager(LENGTH, GRACE);
        directory = new ChainDirectory(address(this));
        decider = new OwnerSlashingDecider(address(this));
        weights = new FakeWeights(_afterNext(), REACH, REACH * BLOCK_SECONDS, fresh);
        registry = new StakeRegistry(epochs, weights, MINIMUM, decider, directory);
    }

    /// @dev Address of the contract after the next one that this test makes.
    function _afterNext() internal view returns (address) {
        return vm.computeCreateAddress(address(this), uint256(vm.getNonce(address(this))) + 1);
    }

    /// @dev First block of `epoch`, plus `offset`.
    function _goTo(uint32 epoch, uint64 offset) internal {
        _rollTo(GENESIS + epoch * LENGTH + offset);
    }

    /// @dev The block with this number, at its time.
    function _rollTo(uint64 number) internal {
        vm.roll(number);
        vm.warp(_timeOf(number));
    }

    function _timeOf(uint64 number) internal pure returns (uint64) {
        return GENESIS_TIME + (number - GENESIS) * BLOCK_SECONDS;
    }

    /// @dev The first block in which the set of `epoch` is fixed.
    function _fixedBlock(uint32 epoch) internal pure returns (uint64) {
        return epoch == 0 ? GENESIS : GENESIS + epoch * LENGTH - GRACE;
    }

    /// @dev Its time.
    function _fixedAt(uint32 epoch) internal pure returns (uint64) {
        return _timeOf(_fixedBlock(epoch));
    }

    function _operator(uint256 seed) internal pure returns (Operator memory made) {
        made.account = address(uint160(uint256(keccak256(abi.encode("account", seed)))));
        made.secret = uint256(keccak256(abi.encode("key", seed)));
        made.signingKey = vm.addr(made.secret);
    }

    /// @dev `count` operators, ascending by account.
    function _operators(uint256 count) internal pure returns (Operator[] memory) {
        return _operators(count, 0);
    }

    /// @dev As above; others for every `seed` that is further away than `count`.
    function _operators(uint256 count, uint256 seed) internal pure returns (Operator[] memory made) {
        made = new Operator[](count);
        for (uint256 i; i < count; ++i) {
            Operator memory next = _operator(seed + i);
            uint256 place = i;
            for (; place > 0 && made[place - 1].account > next.account; --place) {
                made[place] = made[place - 1];
            }
            made[place] = next;
        }
    }

    function _registrationDigest(
        StakeRegistry target,
        address account,
        address signingKey
    ) internal view returns (bytes32) {
        bytes32 typehash = keccak256("OperatorRegistration(address operator,address signingKey)");
        bytes32 content = keccak256(abi.encode(typehash, account, signingKey));
        return keccak256(abi.encodePacked(hex"1901", _domainSeparator(target), content));
    }

    /// @dev Built from its definition, so that it also checks the registry's own.
    function _domainSeparator(StakeRegistry target) internal view returns (bytes32) {
        bytes32 typehash = keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
        return
            keccak256(abi.encode(typehash, keccak256("Quorate"), keccak256("1"), block.chainid, address(target)));
    }

    function _keyProof(Operator memory op) internal view returns (bytes memory) {
        return _sign(op.secret, _registrationDigest(registry, op.account, op.signingKey));
    }

    function _register(Operator memory op) internal {
        bytes memory proof = _keyProof(op);
        vm.prank(op.account);
        registry.registerOperator(op.signingKey, proof);
    }

    function _registerWithWeight(Operator memory op, uint256 weight) internal {
        weights.set(op.account, weight);
        _register(op);
    }

    function _setWeight(Operator memory op, uint256 weight) internal {
        weights.set(op.account, weight);
        _refresh(op);
    }

    function _refresh(Operator memory op) internal {
        address[] memory list = new address[](1);
        list[0] = op.account;
        registry.updateOperators(list);
    }

    function _sign(uint256 secret, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(secret, digest);
        return abi.encodePacked(r, s, v);
    }

    function _accounts(Operator[] memory ops) internal pure returns (address[] memory list) {
        list = new address[](ops.length);
        for (uint256 i; i < ops.length; ++i) {
            list[i] = ops[i].account;
        }
    }

    function _signatures(Operator[] memory ops, bytes32 digest) internal pure returns (bytes[] memory list) {
        list = new bytes[](ops.length);
        for (uint256 i; i < ops.length; ++i) {
            list[i] = _sign(ops[i].secret, digest);
        }
    }

    function _certificate(Operator[] memory ops, bytes32 digest, uint32 epoch) internal pure returns (bytes memory) {
        return abi.encode(_accounts(ops), _signatures(ops, digest), epoch);
    }

    /// @dev In compact form: by those of `all` whose bit is set in `signers`.
    function _compact(
        Operator[] memory all,
        uint256 signers,
        bytes32 digest,
        uint32 epoch
    ) internal pure returns (bytes memory) {
        bytes memory signatures;
        for (uint256 i; i < all.length; ++i) {
            if ((signers >> i) & 1 == 1) signatures = abi.encodePacked(signatures, _sign64(all[i].secret, digest));
        }
        return abi.encodePacked(uint8(1), epoch, _bitmap(all.length, signers), signatures);
    }

    /// @dev For `count` members: bit i in byte i / 8, least significant bit first.
    function _bitmap(uint256 count, uint256 signers) internal pure returns (bytes memory bitmap) {
        bitmap = new bytes((count + 7) / 8);
        for (uint256 i; i < bitmap.length; ++i) {
            bitmap[i] = bytes1(uint8(signers >> (8 * i)));
        }
    }

    /// @dev EIP-2098.
    function _sign64(uint256 secret, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(secret, digest);
        return abi.encodePacked(r, uint256(s) | (uint256(v - 27) << 255));
    }

    /// @dev Those of `all` whose bit is set in `signers`.
    function _chosen(Operator[] memory all, uint256 signers) internal pure returns (Operator[] memory part) {
        part = new Operator[](all.length);
        uint256 count;
        for (uint256 i; i < all.length; ++i) {
            if ((signers >> i) & 1 == 1) part[count++] = all[i];
        }
        return _first(part, count);
    }

    function _set(Operator[] memory ops, uint256[] memory weights_) internal pure returns (OperatorSet memory set) {
        uint256 count = ops.length;
        set.operators = _accounts(ops);
        set.signingKeys = new address[](count);
        set.weights = weights_;
        for (uint256 i; i < count; ++i) {
            set.signingKeys[i] = ops[i].signingKey;
        }
    }

    function _setOfEqual(Operator[] memory ops, uint256 weight) internal pure returns (OperatorSet memory) {
        uint256[] memory same = new uint256[](ops.length);
        for (uint256 i; i < ops.length; ++i) {
            same[i] = weight;
        }
        return _set(ops, same);
    }

    /// @dev A light registry for `registry`, without guardian.
    function _light(uint32 epoch, OperatorSet memory set) internal returns (LightStakeRegistry) {
        return _deployLight(_home(address(0), 0), epoch, _fixedAt(epoch), set);
    }

    function _deployLight(
        Home memory home,
        uint32 epoch,
        uint64 time,
        OperatorSet memory set
    ) internal returns (LightStakeRegistry light) {
        light = new LightStakeRegistry(home, epoch, time, _setHash(set));
        light.anchor(epoch, time, set);
    }

    function _home(address guardian, uint64 anchorDelay) internal view returns (Home memory) {
        return Home(uint64(block.chainid), address(registry), LIFETIME_SECONDS, guardian, anchorDelay);
    }

    /// @dev Built from its definition.
    function _attestationDigest(
        bytes32 domain,
        uint32 epoch,
        bytes32 slot,
        bytes32 fact
    ) internal pure returns (bytes32) {
        bytes32 typehash = keccak256("Attestation(uint32 epoch,bytes32 slot,bytes32 fact)");
        bytes32 content = keccak256(abi.encode(typehash, epoch, slot, fact));
        return keccak256(abi.encodePacked(hex"1901", domain, content));
    }

    /// @dev Built from its definition, with the time at which the set of `nextEpoch` is fixed.
    function _updateDigest(
        bytes32 domain,
        uint32 epoch,
        uint32 nextEpoch,
        OperatorSet memory set
    ) internal pure returns (bytes32) {
        return _updateDigest(domain, epoch, nextEpoch, _fixedAt(nextEpoch), set);
    }

    function _updateDigest(
        bytes32 domain,
        uint32 epoch,
        uint32 nextEpoch,
        uint64 time,
        OperatorSet memory set
    ) internal pure returns (bytes32) {
        bytes32 slot = keccak256(abi.encodePacked(uint8(3), nextEpoch));
        bytes32 fact = keccak256(abi.encodePacked(slot, _setHash(set), time));
        return _attestationDigest(domain, epoch, slot, fact);
    }

    /// @dev Built from its definition, by recursion.
    function _setHash(OperatorSet memory set) internal pure returns (bytes32) {
        uint256 total;
        for (uint256 i; i < set.weights.length; ++i) {
            total += set.weights[i];
        }
        bytes32 root = _merkleRoot(set, 0, set.operators.length);
        return keccak256(abi.encodePacked(uint32(set.operators.length), total, root));
    }

    function _merkleRoot(OperatorSet memory set, uint256 from, uint256 count) private pure returns (bytes32) {
        if (count == 1) {
            return
                keccak256(abi.encodePacked(uint8(0), set.operators[from], set.signingKeys[from], set.weights[from]));
        }
        uint256 left = 1;
        while (left * 2 < count) left *= 2;
        bytes32 right = _merkleRoot(set, from + left, count - left);
        return keccak256(abi.encodePacked(uint8(1), _merkleRoot(set, from, left), right));
    }

    /// @dev The first `count` of `ops`.
    function _first(Operator[] memory ops, uint256 count) internal pure returns (Operator[] memory part) {
        part = new Operator[](count);
        for (uint256 i; i < count; ++i) {
            part[i] = ops[i];
        }
    }

    function _bound(uint256 value, uint256 low, uint256 high) internal pure returns (uint256) {
        return low + (value % (high - low + 1));
    }
}
